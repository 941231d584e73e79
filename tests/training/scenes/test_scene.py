import numpy as np
import pytest

from training.scenes import camera, pens, printed
from training.scenes import scene as module
from training.scenes.pens import FONTS
from training.scenes.scene import Hands, scene

SIZE = 128


@pytest.fixture(scope="module")
def hands(small_mnist, small_writers):
    return Hands.load("train", small_mnist, small_writers)


@pytest.fixture
def scenes(hands):
    return [scene(hands, SIZE, np.random.default_rng(seed)) for seed in range(60)]


def test_the_same_seed_makes_the_same_scene_and_another_seed_another(hands, scenes):
    again = scene(hands, SIZE, np.random.default_rng(3))
    assert (again.picture == scenes[3].picture).all() and (again.ink == scenes[3].ink).all()
    assert len({one.picture.tobytes() for one in scenes}) == 60


def test_a_scene_is_a_picture_and_its_ink(scenes):
    for one in scenes:
        for values in (one.picture, one.ink):
            assert values.shape == (SIZE, SIZE) and values.dtype == np.uint8
    written = sum(one.ink.max() > 127 for one in scenes)
    assert 60 * 0.6 < written < 60  # some hold no writing


def test_ink_stands_out_from_what_is_around_it(hands, monkeypatch):
    """Without what a camera and a sheet add, a pixel that is covered is darker than one that is not."""
    monkeypatch.setattr(printed, "on_paper", lambda page, *others: page)
    monkeypatch.setattr(camera, "photographed", lambda page, ink, generator: (page.clip(0, 255).astype(np.uint8), ink))
    monkeypatch.setattr(camera, "on_screen", lambda page, generator: page.clip(0, 255).astype(np.uint8))
    monkeypatch.setattr(module, "BLANK", 0)
    compared = 0
    for seed in range(30):
        one = scene(hands, SIZE, np.random.default_rng(seed))
        covered, free = one.picture[one.ink > 200], one.picture[one.ink == 0]
        if covered.size and free.size:
            assert np.median(covered) < np.median(free)
            compared += 1
    assert compared > 20


def test_hands_are_of_one_split(small_mnist, small_writers):
    train, test = (Hands.load(split, small_mnist, small_writers) for split in ("train", "test"))
    for rows in ("digits", "letters", "numbers"):
        writers = [set(hands.strokes.writer[getattr(hands, rows)]) for hands in (train, test)]
        assert writers[0] and writers[1] and not writers[0] & writers[1]


@pytest.mark.parametrize("height", [12, 100])
def test_a_bitmap_is_enlarged_with_sharp_edges_and_empty_paper(small_mnist, height):
    hands = module.load_mnist("train", small_mnist)[0][7, 0].numpy()
    large = pens.bitmap(hands, height, 0.1)
    assert abs(large.shape[0] - height) <= 0.15 * height + 3
    assert large.max() > 200 and np.median(large[0]) < 30


@pytest.mark.parametrize("face", FONTS)
@pytest.mark.parametrize("sign", ["1", "8", "m"])
def test_a_typed_sign_is_as_high_as_asked_and_broader_where_it_is_bold(face, sign):
    plain, bold = (pens.typed(sign, face, 100, by) for by in (0, 0.08))
    for ink, grown in ((plain, 0), (bold, 8)):
        rows = np.flatnonzero((ink > 127).any(1))
        height = rows[-1] - rows[0] + 1
        assert abs(height - grown - 100) <= 6
    assert (bold > 127).sum() > 1.2 * (plain > 127).sum()


def test_an_empty_sheet_shows_print_more_often_than_one_that_is_written_on():
    page, box = np.full((SIZE, SIZE), 200, np.float32), np.array([10, 10, 30, 40], np.float32)
    printed_on = [
        sum((printed.on_paper(page, boxes, 30, np.random.default_rng(seed)) < 199).any() for seed in range(150))
        for boxes in ([], [box])
    ]
    assert printed_on[0] > 1.2 * printed_on[1] > 30
