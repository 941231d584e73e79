"""A few random cases in each test run; `python -m tests.hostile.fuzz` and `fuzz_v2` run as many as you like."""

import pytest

from tests.hostile import fuzz, fuzz_v2
from tests.serving import serving

GROWTH = 500  # MB: one large look for ink (150), and four uploads of up to 25 MB and their pictures
UPLOADS = {"/predict", "/predict/batch", "/read"}


@pytest.mark.slow
def test_damaged_requests_are_answered_by_the_service_in_bounded_memory(small_models):
    with serving(QUINTET_MODELS=str(small_models), QUINTET_DEVICE="cpu", QUINTET_THREADS="1") as address:
        for case, seed, cases in ((fuzz.case, 2, 600), (fuzz_v2.case, 1, 400)):
            found, rest, peak = fuzz.fuzz(address, seed, cases, case)
            assert {status for _, status in found} <= set(fuzz.ANSWERS)
            assert {200, 400, 413} <= {status for _, status in found}  # the cases are of all kinds
            assert case is fuzz_v2.case or {path for path, _ in found} == UPLOADS
            assert peak - rest < GROWTH
