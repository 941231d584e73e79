"""Printed rules, the lines of ruled and squared paper, are found in ink and taken out of it."""

import cv2
import numpy as np

from service.picture.measures import breadth, level

Slopes = list[float | None]  # of the rules across and of those down the paper, None for no such rules

GAP = 1 / 12  # of the longer side: a rule that is crossed by a stroke goes on after this
FULL, PART = 0.8, 0.2  # of the picture's width: a rule runs across this much of it; one of many has so much ink
FAINT = 0.75  # of the pen's: a rule has less ink along it,
MANY = 4  # or is one of so many in its direction


def runs_across(likely: np.ndarray) -> bool:
    """Whether ink is found in nearly every column or row, as it is where there are rules."""
    return bool(likely.any(0).mean() >= FULL or likely.any(1).mean() >= FULL)


def take_out_rules(ink: np.ndarray, likely: np.ndarray, slopes: Slopes | None, many: int) -> Slopes | None:
    """Clear printed rules from ink (H, W), ruled or squared, and leave what crosses them.

    As staff lines are taken out of music: by how far the ink goes on across the line
    (Dalitz et al., https://doi.org/10.1109/TPAMI.2007.70749). slopes: of the rules across and of those down, None for
    no such; or None if that is not known yet. Returns the slopes if the paper is ruled, else None.
    """
    views = (ink, np.ascontiguousarray(likely)), (ink.T, np.ascontiguousarray(likely.T))
    thin = [_thin(seen) for _, seen in views]
    found = [_rules(*lines) for lines in thin]
    if max(map(len, found)) >= many:
        slopes = [float(np.median([slope for _, slope in rules])) if rules else None for rules in found]
    rest = likely.copy()
    for rules, view in zip(found, (rest, rest.T), strict=True):
        for rule, _ in rules:
            view[rule] = False
    # Where there is little besides lines, a few of them are a digit's own bars.
    pen = breadth(rest) * level(ink[rest], 0.75) if 3 * rest.sum() > likely.sum() else 0.0
    for way, (view, seen) in enumerate(views):
        gone = np.zeros(view.shape, bool)
        for rule, _ in found[way]:
            drawn = np.zeros_like(seen)
            drawn[rule] = seen[rule]
            if slopes is not None or breadth(drawn) * level(view[drawn], 0.75) <= FAINT * pen:
                gone[rule] = True
        if slopes is not None and slopes[way] is not None:
            gone |= _parallels(*thin[way], slopes[way])
        if gone.any():
            across = np.ones((thin[way][1] + 2, 1), np.uint8)
            view[gone] = cv2.morphologyEx(np.ascontiguousarray(view), cv2.MORPH_OPEN, across)[gone]
    return slopes


def _thin(likely: np.ndarray) -> tuple[np.ndarray, int]:
    """The ink (H, W) uint8 that is no thicker than what is commonest, from above to below, and that thickness."""
    ink = np.uint8(likely)
    changes = np.diff(np.pad(ink, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    runs = np.nonzero(changes == -1)[1] - np.nonzero(changes == 1)[1]
    most = int(1.5 * np.median(runs)) + 1
    return ink & ~cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((most + 1, 1), np.uint8)), most


def _rules(ink: np.ndarray, most: int) -> list[tuple[tuple[np.ndarray, np.ndarray], float]]:
    """Thin lines from left to right, straight or slightly bent: of each its pixels, with soft edges, and its slope.

    Pixels are rows and columns, not (H, W) bool, for a page may have hundreds of rules.
    """
    height, width = ink.shape
    gap = round(GAP * max(width, height))
    bridged = cv2.copyMakeBorder(cv2.dilate(ink, np.ones((3, 3))), 0, 0, gap, gap, cv2.BORDER_REPLICATE)
    bridged = cv2.morphologyEx(bridged, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(bridged[:, gap:-gap], connectivity=8)
    rules = []
    for part, (left, top, wide, tall, _) in enumerate(boxes):
        if part == 0 or wide < FULL * width or tall > wide / 2:
            continue
        y, x = np.nonzero(parts[top : top + tall, left : left + wide] == part)
        y, x = y + top, x + left
        bend = np.polynomial.Polynomial.fit(x, y, 2)
        if np.abs(y - bend(x)).mean() <= most and len(np.unique(x[ink[y, x] > 0])) >= 0.6 * wide:
            rules.append(((y, x), bend.deriv()(width / 2)))
    return rules


def _parallels(ink: np.ndarray, most: int, slope: float) -> np.ndarray:
    """Where thin ink lies on lines of a slope, also on those that something written interrupts: (H, W) bool."""
    height, width = ink.shape
    y, x = np.mgrid[:height, :width]
    offset = np.int32(y - slope * (x - width / 2))
    offset -= offset.min()
    on_line = np.convolve(np.bincount(offset[ink > 0], minlength=offset.max() + 1), np.ones(most), "same")
    return np.convolve(on_line >= PART * width * most, np.ones(3), "same").astype(bool)[offset]
