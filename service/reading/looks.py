"""What the models say of the lines and digits of a page, within the work and the time that one request may use."""

import time

import numpy as np

from ..inference.predictor import Predictor
from ..picture.errors import OutOfTime, TooMuchWork
from .line import Character, batched, characters, steps

MOST = 300  # looks of all models at a digit, upright and turned: five times what the fullest development page needs
MOST_COLUMNS = 24_000  # of all lines together: as many as 800 digits have
BATCH = 8  # lines or images given to the models at once: other requests have their turn in between


class Looks:
    """Asks the models `names` until `deadline`, a time by time.perf_counter(), None for never."""

    def __init__(self, models: Predictor, names: list[str], deadline: float | None) -> None:
        self._models, self._names, self._deadline = models, names, deadline
        self._images = self._columns = 0

    def lines(self, lines: list[np.ndarray]) -> list[list[Character]]:
        """The characters of each line (HEIGHT, W) uint8. Lines of about one width are read together.

        Raises TooMuchWork before the first if all lines so far are wider than MOST_COLUMNS, and OutOfTime before the
        batch that would come too late.
        """
        self._columns += sum(line.shape[1] for line in lines)
        if self._columns > MOST_COLUMNS:
            raise TooMuchWork("The image holds more writing than is read at once; send a part of it at a time.")
        order = sorted(range(len(lines)), key=lambda number: lines[number].shape[1])
        found: list[list[Character]] = [[] for _ in lines]
        for start in range(0, len(order), BATCH):
            self._check_time()
            part = order[start : start + BATCH]
            said = self._models.read_lines(batched([lines[number] for number in part]))
            for number, one in zip(part, said, strict=True):
                found[number] = characters(one[: steps(lines[number])])
        return found

    def digits(self, images: list[np.ndarray]) -> list[tuple[np.ndarray, bool]]:
        """For each image (28, 28) uint8 the calibrated mean of the models (10,), and whether it shows no digit at all.

        Raises TooMuchWork before the first if it is more than MOST images so far, OutOfTime as above.
        """
        self._images += len(images)
        if self._images > MOST:
            raise TooMuchWork(f"The image holds more than {MOST} digits; send a part of it at a time.")
        found: list[tuple[np.ndarray, bool]] = []
        for start in range(0, len(images), BATCH):
            self._check_time()
            said = self._models.classify(np.stack(images[start : start + BATCH])[:, None], self._names)
            found += zip(said.mean, [verdict.reason == "no_digit" for verdict in said.verdicts], strict=True)
        return found

    def _check_time(self) -> None:
        if self._deadline is not None and time.perf_counter() > self._deadline:
            raise OutOfTime
