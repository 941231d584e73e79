"""A few random cases in each test run; `python -m tests.hostile.fuzz` and `fuzz_v2` run as many as you like."""

from collections import Counter

import pytest
from starlette.testclient import TestClient

from service.http.app import create_app
from service.recogniser import Recogniser
from tests.hostile import fuzz, fuzz_v2
from tests.serving import serving

GROWTH = 500  # MB: one large look for ink (150), and four uploads of up to 25 MB and their pictures
UPLOADS = {"/predict", "/predict/batch", "/read"}


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # Starlette's, of a form that ends too early
@pytest.mark.parametrize(
    "case, cases, kinds", [(fuzz.case, 500, (200, 400, 413, 422)), (fuzz_v2.case, 300, (200, 400, 413))]
)
def test_damaged_requests_are_answered_by_the_application(small_models, case, cases, kinds):
    client = TestClient(create_app(Recogniser(small_models, "cpu", threads=1)))
    found = Counter(status for _, status in (fuzz.ask(client, 0, number, case) for number in range(cases)))
    assert set(found) <= set(fuzz.ANSWERS)
    assert min(found[kind] for kind in kinds) > 0  # the cases are of all kinds


@pytest.mark.slow
@pytest.mark.parametrize("case, seed, cases, paths", [(fuzz.case, 2, 1_500, UPLOADS), (fuzz_v2.case, 1, 1_000, None)])
def test_damaged_requests_are_answered_by_the_service_in_bounded_memory(small_models, case, seed, cases, paths):
    with serving(QUINTET_MODELS=str(small_models), QUINTET_DEVICE="cpu", QUINTET_THREADS="1") as address:
        found, rest, peak = fuzz.fuzz(address, seed, cases, case)
    assert {status for _, status in found} <= set(fuzz.ANSWERS)
    assert paths is None or {path for path, _ in found} == paths
    assert peak - rest < GROWTH
