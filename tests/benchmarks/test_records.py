"""The figures in docs/ are those of the recorded runs."""

import json

import pytest

from benchmarks.records import PLACES, filled
from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", PLACES)
def test_document_shows_what_was_recorded(name):
    document = (REPOSITORY / PLACES[name][0]).read_text()
    record = json.loads((REPOSITORY / "results" / f"{name}.json").read_text())
    assert f"<!-- {name} -->" in document
    assert filled(name, document, record) == document
