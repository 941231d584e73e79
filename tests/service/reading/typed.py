"""Typed numbers, and a predictor that compares with typed digits."""

import cv2
import numpy as np

from service.inference.artefact import LINE, open_helper
from service.inference.consensus import Verdict
from service.picture.digit import canonicalise
from service.reading.reader import read
from tests.conftest import RELEASED, draw


class Matcher:
    """As much of a Predictor as reading needs: the released line recogniser, and the most similar typed digit."""

    def __init__(self, finder):
        self.reader = open_helper(RELEASED / f"{LINE}.onnx", 1, "lines", "log_probabilities")
        self.typed = np.stack([self._unit(canonicalise(draw(str(digit)), finder).image) for digit in range(10)])
        self.verdicts, self.batches, self.lines = [], [], []

    @staticmethod
    def _unit(image):
        soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5).ravel()
        return soft / np.linalg.norm(soft)

    def classify(self, images, names):
        self.batches.append(len(images))
        likeness = np.stack([self._unit(image[0]) for image in images]) @ self.typed.T
        sure = likeness.max(1) ** 8
        self.mean = likeness**50 / (likeness**50).sum(1, keepdims=True)
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

    def read_lines(self, lines):
        self.lines.append(lines.shape)
        return self.reader.run(None, {"lines": lines})[0]


def page(*lines, scale=2.0, gap=20):
    """Lines of typed digits from above, black on white."""
    rows = [draw(line, (int(40 * scale), int(24 * scale * max(map(len, lines)) + 40)), scale, 5) for line in lines]
    return np.concatenate([np.pad(row, ((gap, gap), (0, 0)), constant_values=255) for row in rows])


def read_page(picture, models, finder, deadline=None):
    return read(picture, models, finder, [], deadline)


def text(page):
    return page.text.split("\n") if page.text else []
