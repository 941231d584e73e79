"""A few random cases in each test run; `python -m tests.hostile.fuzz_v2` runs as many as you like."""

from collections import Counter

import pytest
from starlette.testclient import TestClient

from service.http.app import create_app
from service.recogniser import Recogniser
from tests.hostile.fuzz import ANSWERS
from tests.hostile.fuzz_v2 import ask, fuzz
from tests.serving import serving

GROWTH = 500  # MB, see test_fuzz


def test_damaged_requests_of_the_protocol_are_answered(small_models):
    client = TestClient(create_app(Recogniser(small_models, "cpu", threads=1)))
    found = Counter(status for _, status in (ask(client, seed=0, number=number) for number in range(300)))
    assert set(found) <= set(ANSWERS)
    assert min(found[200], found[400], found[413]) > 0  # the cases are of all kinds


@pytest.mark.slow
def test_damaged_requests_of_the_protocol_are_answered_in_bounded_memory(small_models):
    with serving(QUINTET_MODELS=str(small_models), QUINTET_DEVICE="cpu", QUINTET_THREADS="1") as address:
        found, rest, peak = fuzz(address, seed=1, cases=1_000)
    assert {status for _, status in found} <= set(ANSWERS)
    assert peak - rest < GROWTH
