"""From a picture, in any form, to an answer: what is accepted, and why not."""

import asyncio

import numpy as np
import pytest
from PIL import Image

from service.picture.errors import InvalidImage
from service.recogniser import Recogniser
from service.settings import Settings
from tests.conftest import draw, encode
from tests.service.reading.typed import page


@pytest.fixture(scope="module")
def recogniser(released):
    return Recogniser(released, "cpu", threads=2)


def forms(tmp_path):
    """One picture as everything that is taken."""
    pixels = draw("7")
    data = encode(Image.fromarray(pixels))
    (tmp_path / "seven.png").write_bytes(data)
    colours = np.repeat(pixels[..., None], 3, 2)
    return [data, tmp_path / "seven.png", str(tmp_path / "seven.png"), pixels, colours, Image.fromarray(pixels)]


def said(prediction):
    return prediction.model_dump(exclude={"timing_ms": True, "models": {"__all__": {"latency_ms"}}})


def test_every_form_of_a_picture_gives_the_same_answer(recogniser, tmp_path):
    answers = [said(recogniser.predict(picture)) for picture in forms(tmp_path)]
    assert all(answer == answers[0] for answer in answers)
    assert [answers[0][field] for field in ("digit", "accepted", "reason", "note")] == [7, True, None, None]


@pytest.mark.parametrize("text", ["4 2", "3 3"])
def test_several_digits_are_refused_by_every_way_in(recogniser, text):
    """Bug: `quintet batch` accepted two digits side by side, which `/predict` refuses."""
    data = encode(Image.fromarray(draw(text, (140, 320))))

    async def both():
        (one,) = await recogniser.predict_many_async([data], recogniser.names)
        return [await recogniser.predict_async(data, recogniser.names), one]

    for prediction in [recogniser.predict(data), *recogniser.predict_many([data]), *asyncio.run(both())]:
        assert (prediction.accepted, prediction.reason) == (False, "several_digits")
        note = f"The image holds {prediction.digits_seen} digits; send it to /read, which reads them all."
        assert prediction.note == note


def test_what_is_no_digit_is_the_reason(recogniser):
    prediction = recogniser.predict(draw("x"))
    assert (prediction.accepted, prediction.reason, prediction.is_digit < 0.1) == (False, "no_digit", True)
    assert prediction.note == "This does not look like a digit."


def test_image_that_cannot_be_read_is_an_error_among_others(recogniser):
    data = encode(Image.fromarray(draw("7")))
    one, damaged, other = recogniser.predict_many([data, b"no image", data])
    assert damaged.status == 400 and damaged.error.startswith("This is text; send a picture, as PNG")
    assert said(one) == said(other)


def test_answer_does_not_depend_on_how_many_come_together(recogniser):
    pictures = [draw(str(digit)) for digit in range(10)]
    together = [said(one) for one in recogniser.predict_many(pictures * 4)]
    assert together[:10] == [said(recogniser.predict_many([one])[0]) for one in pictures]


def test_number_is_read_line_by_line(recogniser):
    text = recogniser.read(page("196", "42"))
    assert (text.text, text.digits_seen, text.is_number) == ("196\n42", 5, True)
    assert [mark.line for mark in text.digits] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("picture", [np.zeros((2, 2, 2, 2), np.uint8), np.zeros((0, 5), np.uint8), None, 7])
def test_what_is_no_picture_is_named(recogniser, picture):
    with pytest.raises(
        InvalidImage, match=r"^The picture is .*; give bytes, a path, a uint8 array or Pillow's Image\.$"
    ):
        recogniser.predict(picture)


def test_arguments_come_before_the_settings(released):
    settings = Settings(models="nowhere", device="cpu", threads=3)
    own = Recogniser(released, threads=1, settings=settings).settings
    assert (own.models, own.device, own.threads) == (released, "cpu", 1)
