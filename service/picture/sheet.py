"""A photograph of a sheet of paper on something darker: what lies around the sheet is no ink."""

import cv2
import numpy as np

from service.picture.measures import level

SIDE = 64  # pixels of the longer side that a sheet is looked for at
LEVELS = 0.1, 0.2, 0.35, 0.55  # of the way from the table's grey level to the lightest: the sheet's darkest
LIGHTER = 24  # grey levels by which a sheet is lighter than what is around it, at least
RIM = 0.4  # of the picture's rim: no more is as light as a sheet, or that is the picture's own paper
AREA = 0.15  # of the picture, at least
CORNERS = 6  # of a sheet that reaches beyond the picture
SHADE = 0.5  # of the light: no shadow is darker, so that what is darker beside a sheet at the rim is a table
STRAIGHT = 0.94  # of a sheet's convex hull is the sheet, and so much is in a polygon of its corners
BARE = 0.6  # of the sheet, at least: little is written on it
LONG = 2.0  # times its breadth: longer ones on which nothing is written are strokes of chalk
EDGE = np.ones((3, 3), np.uint8)  # what counts neither to a sheet nor to what is around it


def clear_table(picture: np.ndarray) -> np.ndarray:
    """The picture (H, W) uint8 with the paper of a sheet carried on beyond its edges, or itself if it shows none."""
    scale = SIDE / max(picture.shape)
    size = [max(1, round(side * scale)) for side in reversed(picture.shape)]
    step = max(1, max(picture.shape) // (4 * SIDE))  # four points a cell are enough, and cost less than all
    small = cv2.resize(picture[::step, ::step], size, interpolation=cv2.INTER_AREA)
    rim = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    darkest, lightest = max(level(small, 0.02), level(rim, 1 - RIM)), level(small, 0.98)
    sheet = None
    if lightest - darkest > LIGHTER:
        tried = (_sheet(small, darkest + share * (lightest - darkest)) for share in LEVELS)
        sheet = next((sheet for sheet in tried if sheet is not None), None)
    if sheet is None:
        return picture
    paper = cv2.inpaint(small, 1 - sheet, 3, cv2.INPAINT_TELEA)
    size = picture.shape[::-1]
    paper = cv2.resize(paper, size, interpolation=cv2.INTER_LINEAR)
    return np.where(cv2.resize(sheet, size, interpolation=cv2.INTER_NEAREST) > 0, picture, paper)


def _sheet(small: np.ndarray, at: float) -> np.ndarray | None:
    """Where the inside of a sheet is that is lighter than `at` in a picture (H, W) uint8: (H, W) uint8, or None."""
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(np.uint8(small > at), connectivity=4)
    part = 1 + int(boxes[1:, 4].argmax()) if len(boxes) > 1 else 0
    if part == 0:
        return None
    outlines, _ = cv2.findContours(np.uint8(parts == part), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sheet = cv2.drawContours(np.zeros_like(small), outlines, -1, 1, cv2.FILLED)
    area, hull = cv2.contourArea(outlines[0]), cv2.convexHull(outlines[0])
    if area < AREA * small.size or area < STRAIGHT * cv2.contourArea(hull):
        return None
    corners = cv2.approxPolyDP(hull, 0.02 * cv2.arcLength(hull, True), True)
    if len(corners) > CORNERS or cv2.contourArea(corners) < STRAIGHT * cv2.contourArea(hull):
        return None
    sides = sorted(cv2.minAreaRect(hull)[1])
    bare = boxes[part, 4] / sheet.sum()
    if bare < BARE or bare == 1 and sides[1] > LONG * sides[0]:
        return None
    inside, around = cv2.erode(sheet, EDGE, borderValue=1), cv2.dilate(sheet, EDGE)
    light = np.median(small[inside > cv2.erode(inside, EDGE, borderValue=1)])
    outside = [small[cv2.dilate(around, EDGE) > around], small[around == 0]]  # beside the sheet, and all
    dark = max(np.median(part) if part.size else 255 for part in outside)
    at_rim = sheet[0].any() or sheet[-1].any() or sheet[:, 0].any() or sheet[:, -1].any()
    if light - dark < LIGHTER or at_rim and dark > SHADE * light:
        return None
    return inside
