"""How many digits stand in a picture that was to hold one."""

import cv2
import numpy as np

from ..picture.digit import Crowd
from .looks import Models

SURE = 0.4  # score of a detection that counts
SIGHTS = 24, 28, 32  # pixels of the height of the digit that was chosen: at one of them the detector may be wrong
LEAST = 28  # pixels of a side that the detector is shown, at least
LONGEST = 384  # pixels of the longer side that the detector is shown, at most: it bounds the work


def count_digits(crowd: Crowd, models: Models) -> int:
    """How many digits Faster R-CNN sees in the ink of a picture, at least 1: one was found without it.

    The median of what it sees at three sizes.
    """
    counts = []
    for sight in SIGHTS:
        scale = min(sight / crowd.height, LONGEST / max(crowd.ink.shape))
        height, width = (max(LEAST, round(side * scale)) for side in crowd.ink.shape)
        _, scores = models.detect(cv2.resize(crowd.ink, (width, height), interpolation=cv2.INTER_AREA)[None, None])
        counts.append(int(np.sum(scores[0].max(1, initial=0) >= SURE)))
    return max(1, int(np.median(counts)))
