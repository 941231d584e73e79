"""A grey picture to its ink: paper, shadows, grain and printed rules are taken away, in any polarity."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np

from service.picture.errors import BlankImage
from service.picture.measures import breadth, level, sample
from service.picture.rules import MANY, Slopes, runs_across, take_out_rules

PAPER = 0.3, 0.1  # of the longer side: nothing wider is a stroke; the second where shadows pass for one
SHARPER = 1.25  # the second paper only if what it leaves has edges this much steeper
LEAST_CONTRAST = 14  # grey levels between paper and ink
NOISE = 5.0  # ink stands out of the paper's grain by this many deviations
MUCH, LITTLE = 0.998, 0.9996  # share that is paper where there is much ink, as mostly, or as little as a small 1
AROUND = 0.45  # of the longer side: what is near
GRID = 24  # points a side that the light is measured at


@dataclass(frozen=True, kw_only=True)
class Ink:
    """What stands out from the paper of a picture (H, W)."""

    levels: np.ndarray  # (H, W) float32, grey levels by which each pixel is darker (or lighter) than its paper, or 0
    sure: np.ndarray  # (H, W) bool, where there is ink
    likely: np.ndarray  # (H, W) bool, where that ink is likely to go on
    steepness: np.ndarray  # (H, W) float32, of the grey levels: strokes have sharp edges, shadows fade
    slopes: Slopes | None  # of the paper's printed rules, None if there are none


def find_inks(
    work: np.ndarray, papers: tuple[float, ...], slopes: Slopes | None = None, many: int = MANY
) -> Iterator[Ink]:
    """The ink of a picture, once for each of `papers`; they differ where a shadow is as wide as a stroke.

    work: (H, W) float32, grey levels; papers: the width, of the longer side, from which on what is dark is paper;
    slopes: of the paper's rules, if they are known; many: rules in one direction that cannot be strokes.
    """
    work = cv2.GaussianBlur(work, (0, 0), min(max(work.shape) / 320, 1))
    work -= _light(work)
    if not is_dark(work):
        work = -work
    steepness = cv2.magnitude(cv2.Sobel(work, cv2.CV_32F, 1, 0), cv2.Sobel(work, cv2.CV_32F, 0, 1))
    for widest in papers:
        with suppress(BlankImage):
            levels = _above_paper(work, widest)
            sure, likely = strokes(levels)
            if slopes is not None or runs_across(likely):
                slopes = take_out_rules(levels, likely, slopes, many)
                sure, likely = strokes(levels)
            yield Ink(levels=levels, sure=sure, likely=likely, steepness=steepness, slopes=slopes)


def clearest(choices: Iterable[tuple[Ink, np.ndarray]], pen: float) -> tuple[Ink, np.ndarray]:
    """Of inks, each with a mask (H, W) bool of what is wanted of it, the first, or a later one with sharper edges.

    No more are looked at once a mask is as narrow as a pen, `pen` of the longer side. Raises BlankImage if all masks
    are empty.
    """
    best: tuple[Ink, np.ndarray] | None = None
    best_sharpness = 0.0
    for ink, mask in choices:
        if not mask.any():
            continue
        sharpness = _sharpness(mask, ink.steepness)
        if best is None or sharpness > SHARPER * best_sharpness:
            best, best_sharpness = (ink, mask), sharpness
        if breadth(mask) < pen * max(mask.shape) and not _touches(mask):
            break  # no shadow is as narrow as a pen
    if best is None:
        raise BlankImage
    return best


def find_flat_ink(picture: np.ndarray) -> np.ndarray:
    """Grey levels of ink (H, W) float32 in a picture (H, W) uint8 too small for anything but one level of paper."""
    work = picture.astype(np.float32)
    paper = level(np.concatenate([work[0], work[-1], work[:, 0], work[:, -1]]), 0.5)
    return ((paper - work) if is_dark(work) else (work - paper)).clip(0)


def _light(work: np.ndarray) -> np.ndarray:
    """A slanted light: the quadratic (H, W) that most of the picture follows."""
    height, width = work.shape
    grid = cv2.resize(work, (GRID, GRID), interpolation=cv2.INTER_AREA).ravel()
    places = np.linspace(-1, 1, GRID)
    x, y = (values.ravel() for values in np.meshgrid(places, places))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1)
    weights = np.ones_like(grid)
    for _ in range(3):
        weighted = terms.T * weights
        fit = np.linalg.solve(weighted @ terms, weighted @ grid)
        away = np.abs(grid - terms @ fit)
        weights = 1 / (1 + (away / max(level(away, 0.5), 1.0)) ** 2)
    light = np.float32(terms @ fit).reshape(GRID, GRID)
    return cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)


def _sharpness(mask: np.ndarray, steepness: np.ndarray) -> float:
    """How steep the edges of a mask are: shadows fade, strokes do not."""
    edge = cv2.morphologyEx(
        np.uint8(mask), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE
    )
    return level(steepness[edge > 0], 0.5) if edge.any() else 0.0


def _touches(mask: np.ndarray) -> bool:
    """Whether anything of a mask lies at the edge."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def is_dark(work: np.ndarray) -> bool:
    """Whether ink is darker than paper: which side of what the rim mostly is, where it differs from what is near.

    Both count, and the second more: little ink stands out far, the halves of a shadow only at their border.
    """
    depth = max(1, max(work.shape) // 40)
    rim = np.ones(work.shape, bool)
    rim[depth:-depth, depth:-depth] = False
    some = np.ascontiguousarray(sample(work))
    side = round(AROUND * max(some.shape)) | 1
    contrast = some - cv2.blur(some, (side, side), borderType=cv2.BORDER_REPLICATE)
    return bool(((level(work[rim], 0.5) - some) * contrast**2).sum() >= 0)


def _above_paper(work: np.ndarray, widest: float) -> np.ndarray:
    """The paper is the picture with everything narrower than a stroke can be closed, so that a shadow stays paper."""
    side = round(widest * max(work.shape)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))  # a square is two passes, a disc is not
    paper = cv2.morphologyEx(work, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
    paper = cv2.blur(paper, (side // 2 | 1, side // 2 | 1), borderType=cv2.BORDER_REPLICATE)
    ink = paper - work
    return (ink - level(sample(ink)[::2, ::2], 0.5)).clip(0)


def _strength(ink: np.ndarray) -> tuple[float, float]:
    """The level of full ink and the grain of the paper, a standard deviation. Raises BlankImage for no ink."""
    some = sample(ink)
    few = some[::2, ::2]  # enough for the paper, of which there is more
    for values, share in ((some, MUCH), (ink, LITTLE)):
        strongest = level(values, share)
        quiet = few[few <= strongest / 2]
        grain = 1.4826 * level(np.abs(quiet - level(quiet, 0.5)), 0.5) if quiet.size else 0.0
        if strongest >= max(LEAST_CONTRAST, NOISE * grain):
            return strongest, grain
    raise BlankImage


def strokes(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where ink (H, W) surely is, and where it is likely to go on: two (H, W) bool. Raises BlankImage for none."""
    strongest, grain = _strength(ink)
    levels = np.uint8((ink * (255 / strongest)).clip(0, 255))
    otsu, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return levels > otsu, levels > max(0.6 * otsu, 255 * 3 * grain / strongest)
