"""A few random cases in each test run; `python -m tests.hostile.fuzz` runs as many as you like."""

from collections import Counter

import pytest
from starlette.testclient import TestClient

from service.http.app import create_app
from service.recogniser import Recogniser
from tests.hostile.fuzz import ANSWERS, ask, fuzz
from tests.serving import serving

GROWTH = 500  # MB: one large look for ink (150), and four uploads of up to 25 MB and their pictures


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # Starlette's, of a form that ends too early
def test_damaged_uploads_are_answered_by_the_application(small_models):
    client = TestClient(create_app(Recogniser(small_models, "cpu", threads=1)))
    found = Counter(status for _, status in (ask(client, seed=0, number=number) for number in range(500)))
    assert set(found) <= set(ANSWERS)
    assert min(found[200], found[400], found[413], found[422]) > 0  # the cases are of all kinds


@pytest.mark.slow
def test_damaged_uploads_are_answered_by_the_service_in_bounded_memory(small_models):
    with serving(QUINTET_MODELS=str(small_models), QUINTET_DEVICE="cpu", QUINTET_THREADS="1") as address:
        found, rest, peak = fuzz(address, seed=2, cases=1_500)
    assert {status for _, status in found} <= set(ANSWERS)
    assert {path for path, _ in found} == {"/predict", "/predict/batch", "/read"}
    assert peak - rest < GROWTH
