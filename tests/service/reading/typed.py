"""Typed numbers, and a predictor that compares with typed digits."""

import cv2
import numpy as np

from service.inference.consensus import Verdict
from service.picture.digit import canonicalise
from service.reading.reader import read
from tests.conftest import draw


class Matcher:
    """As much of a Predictor as reading needs: the digit is that of the most similar typed one."""

    def __init__(self, finder):
        self.typed = np.stack([self._unit(canonicalise(draw(str(digit)), finder).image) for digit in range(10)])
        self.verdicts, self.batches = [], []

    @staticmethod
    def _unit(image):
        soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5).ravel()
        return soft / np.linalg.norm(soft)

    def classify(self, images, names):
        self.batches.append(len(images))
        likeness = np.stack([self._unit(image[0]) for image in images]) @ self.typed.T
        sure = likeness.max(1) ** 8
        self.verdicts = [
            Verdict(
                digit=int(digit),
                confidence=float(confidence),
                agreement=1,
                reason=None if confidence > 0.4 else "unsure",
            )
            for digit, confidence in zip(likeness.argmax(1), sure, strict=True)
        ]
        return self

    def detect(self, pages):
        """A digit at the left end of each page."""
        boxes = np.tile(np.float32([14, 14, 30, 42]), (len(pages), 1, 1))
        return boxes, np.ones((len(pages), 1, 10), np.float32)


def page(*lines, scale=2.0, gap=20):
    """Lines of typed digits from above, black on white."""
    rows = [draw(line, (int(40 * scale), int(24 * scale * max(map(len, lines)) + 40)), scale, 5) for line in lines]
    return np.concatenate([np.pad(row, ((gap, gap), (0, 0)), constant_values=255) for row in rows])


def read_page(picture, models, finder, deadline=None):
    return read(picture, models, finder, [], deadline).readings


def text(readings):
    lines = {}
    for reading in readings:
        if reading.accepted:
            lines.setdefault(reading.line, []).append(str(reading.digit))
    return ["".join(lines[line]) for line in sorted(lines)]
