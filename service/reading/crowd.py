"""How many digits stand in a picture that was to hold one."""

import cv2
import numpy as np

from service.picture.digit import Crowd
from service.reading.looks import Models
from service.reading.pieces import SIGHT, SURE

LONGEST = 384  # pixels of the longer side that the detector is shown, at most: it bounds the work


def count_digits(crowd: Crowd, models: Models) -> int:
    """How many digits Faster R-CNN sees in the ink of a picture, at least 1: one was found without it."""
    scale = min(SIGHT / crowd.height, LONGEST / max(crowd.ink.shape))
    height, width = (max(SIGHT, round(side * scale)) for side in crowd.ink.shape)
    _, scores = models.detect(cv2.resize(crowd.ink, (width, height), interpolation=cv2.INTER_AREA)[None, None])
    return max(1, int(np.sum(scores[0].max(1, initial=0) >= SURE)))
