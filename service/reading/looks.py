"""What the models say of pieces of a page, within the work and the time that one request may use."""

import time
from typing import Protocol

import numpy as np

from ..inference.consensus import Verdict
from ..picture.errors import OutOfTime, TooMuchWork

MOST = 300  # looks of all models at an image: five times what the fullest page of the development set needs
DETECTION = 2  # looks that a search for digits in a wide piece costs
BATCH = 8  # images given to the models at once: other requests have their turn in between


class Answers(Protocol):
    @property
    def verdicts(self) -> list[Verdict]: ...


class Models(Protocol):
    """As much of a Predictor as reading needs."""

    def classify(self, images: np.ndarray, names: list[str], /) -> Answers: ...

    def detect(self, pages: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]: ...


class Looks:
    """Asks the models `names`, once for each image, until `deadline`, a time by time.perf_counter(), None for never."""

    def __init__(self, models: Models, names: list[str], deadline: float | None) -> None:
        self._models, self._names, self._deadline = models, names, deadline
        self._known: dict[bytes, Verdict] = {}
        self._used = 0

    def plan(self, images: int = 0, detections: int = 0) -> None:
        """Count work before any of it is done. Raises TooMuchWork if it is more than MOST in all."""
        self._used += images + DETECTION * detections
        if self._used > MOST:
            raise TooMuchWork(
                f"The image holds so much ink that it takes more than {MOST} looks at possible digits; "
                "send a part of it at a time."
            )

    def verdicts(self, images: list[np.ndarray]) -> list[Verdict]:
        """A verdict for each image (28, 28) uint8. Raises OutOfTime before the batch that would come too late."""
        new = list({image.tobytes(): image for image in images if image.tobytes() not in self._known}.values())
        for start in range(0, len(new), BATCH):
            self._check_time()
            part = new[start : start + BATCH]
            verdicts = self._models.classify(np.stack(part)[:, None], self._names).verdicts
            self._known.update((image.tobytes(), verdict) for image, verdict in zip(part, verdicts, strict=True))
        return [self._known[image.tobytes()] for image in images]

    def detect(self, page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (K, 4) and scores (K, 10) of what Faster R-CNN sees on a page (H, W) uint8. Raises OutOfTime."""
        self._check_time()
        boxes, scores = self._models.detect(page[None, None])
        return boxes[0], scores[0]

    def _check_time(self) -> None:
        if self._deadline is not None and time.perf_counter() > self._deadline:
            raise OutOfTime
