import shutil

import pytest

from service.inference.artefact import UnusableArtefact, open_finder, open_helper
from tests.conftest import RELEASED


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "is missing"),
        (b"", "is damaged or no ONNX model"),
        ((RELEASED / "ink.onnx").read_bytes()[:100_000], "is damaged or no ONNX model"),
    ],
)
def test_a_missing_or_damaged_file_is_named(tmp_path, content, sentence):
    path = tmp_path / "ink.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableArtefact, match=f"ink.onnx {sentence}"):
        open_finder(path, 1)
    with pytest.raises(UnusableArtefact, match=f"ink.onnx {sentence}"):
        open_helper(path, 1, "pictures", "ink")


def test_another_kind_of_model_is_refused(tmp_path):
    """Bug: it was loaded, and the first picture failed."""
    shutil.copy(RELEASED / "cnn.onnx", tmp_path / "ink.onnx")
    with pytest.raises(UnusableArtefact, match=r"has inputs \['images'\]"):
        open_finder(tmp_path / "ink.onnx", 1)
    shutil.copy(RELEASED / "ink.onnx", tmp_path / "line.onnx")
    with pytest.raises(UnusableArtefact, match=r"has inputs \['pictures'\] and outputs \['ink'\], not \['lines'\]"):
        open_helper(tmp_path / "line.onnx", 1, "lines", "log_probabilities")
