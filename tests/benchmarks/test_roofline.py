import json
import re

import pytest

from benchmarks import roofline
from tests.conftest import REPOSITORY


def test_multiply_adds_are_counted(small_models):
    assert roofline.multiply_adds(small_models / "cnn.onnx") == 784 * 10


def test_each_model_has_its_share_of_the_peak(small_models, monkeypatch):
    monkeypatch.setattr(roofline, "SIDE", 64)
    found = roofline.collect(small_models, threads=1, calls=3)
    assert [row["model"] for row in found["rows"]] == ["cnn", "faster_rcnn", "vit"]
    first = found["rows"][0]
    expected = 7840 * first["images_per_sec_32"] / found["peak_multiply_adds_per_sec"]["floats"]
    assert first["share_of_peak_32"] == pytest.approx(expected, rel=0.01, abs=1e-4)


def test_docs_are_what_was_recorded():
    recorded = [json.loads((REPOSITORY / "results" / f"{name}.json").read_text()) for name in ("roofline", "placement")]
    (said,) = re.findall(roofline.MARKED, (REPOSITORY / "docs/performance.md").read_text(), re.DOTALL)
    assert said == roofline.table(*recorded)
