"""The command that reads image files: what it prints, where, and its exit status."""

import json

import pytest
from PIL import Image

from service.cli import predict, read
from tests.conftest import ANSWER, draw
from tests.service.picture.test_decode import encode


@pytest.fixture
def folder(small_models, tmp_path, monkeypatch):
    monkeypatch.setenv("QUINTET_MODELS", str(small_models))
    monkeypatch.setenv("QUINTET_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seven.png").write_bytes(encode(Image.fromarray(draw("7"))))
    (tmp_path / "text.png").write_text("I am text")
    (tmp_path / "blank.png").write_bytes(encode(Image.new("L", (99, 99), 255)))
    return tmp_path


def test_table_has_a_row_for_each_image(folder, capsys):
    assert predict(["seven.png", "seven.png"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", "digit", "confidence", "accepted", "cnn", "faster_rcnn", "vit"]
    assert len(rows) == 2 and {len(row) for row in rows} == {len(head)}
    cells = rows[0].split()
    assert cells[:2] == ["seven.png", "7"] and 0 < float(cells[2]) <= 1
    assert cells[3:] == ["yes", "7", "7", "1"]


def test_json_is_what_the_route_answers(folder, capsys):
    assert predict(["--json", "--models", "vit", "seven.png"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["image", *ANSWER]
    assert (result["image"], result["digit"], [model["name"] for model in result["models"]]) == (
        "seven.png",
        1,
        ["vit"],
    )


def test_image_that_cannot_be_read_is_one_sentence_and_hurts_no_other(folder, capsys):
    assert predict(["--json", "text.png", "nowhere.png", "blank.png", ".", "seven.png"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "text.png: The upload is not a PNG, JPEG, WebP, BMP, GIF or TIFF image.",
        "nowhere.png: No such file or directory.",
        "blank.png: The image is blank: no ink stands out from the background.",
        ".: Is a directory.",
    ]
    assert [json.loads(line)["digit"] for line in said.out.splitlines()] == [7]


def test_unknown_model_and_missing_artefact_are_one_sentence(folder, small_models, capsys):
    with pytest.raises(SystemExit) as ended:
        predict(["--models", "resnet", "seven.png"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "Unknown model 'resnet'; served models: cnn, faster_rcnn, vit.\n"
    (small_models / "vit.onnx").unlink()
    with pytest.raises(SystemExit) as ended:
        predict(["seven.png"])
    assert ended.value.code == 2
    assert "vit.onnx is missing; copy it from the release again, or create it with: " in capsys.readouterr().err


def test_read_prints_a_row_for_each_line(folder, capsys):
    assert read(["seven.png"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", "line", "confidence", "refused", "text"]
    assert row.split()[:2] == ["seven.png", "1"] and row.split()[3:] == ["0", "7"]


def test_read_gives_the_json_of_the_route(folder, capsys):
    assert read(["--json", "seven.png"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (
        list(result) == ["image", "text", "digits", "digits_seen", "is_number", "turned", "timing_ms", "device"]
        and result["text"] == "7"
    )


def test_folder_without_models_is_one_sentence(folder, capsys, monkeypatch):
    monkeypatch.setenv("QUINTET_MODELS", "nowhere")
    with pytest.raises(SystemExit) as ended:
        predict(["seven.png"])
    said = capsys.readouterr().err
    assert (
        ended.value.code == 2
        and said == "There is no folder nowhere; set QUINTET_MODELS to the folder that holds the models.\n"
    )
