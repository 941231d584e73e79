"""The figures in docs/ are those of the recorded runs."""

import pytest

from benchmarks.records import NOT_YET, PLACES, filled, recorded
from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", PLACES)
def test_document_shows_what_was_recorded(name):
    document = (REPOSITORY / PLACES[name][0]).read_text()
    assert f"<!-- {name} -->" in document
    assert filled(name, document, recorded(name)) == document


def test_what_was_not_measured_is_said():
    document = "<!-- batch -->\n9,999 images/s\n<!-- /batch -->"
    assert filled("batch", document, None) == f"<!-- batch -->\n{NOT_YET}\n<!-- /batch -->"
