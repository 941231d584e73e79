import pytest

from tests.service.reading.typed import Matcher


@pytest.fixture(scope="package")
def matcher(finder):
    return Matcher(finder)
