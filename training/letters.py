"""Letters and signs that are no digit in any hand, from matplotlib's fonts, drawn again with a pen of one width."""

from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from service.image import frame

FONTS = ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "STIXGeneralItalic")
# Left out is what is some hand's digit: O, C as 0; l as 1; Z as 2; Э as 3; y as 4; S as 5; b as 6; T as 7; & as 8.
LETTERS = "AEFHKMNPRVWXadefhkmnprvwx" + "αγεηκλμπρφχψωΓΔΞΠΣΦΨΩ" + "ЖЮЯЫж" + "+×=≠#@%*→←☺"
HEIGHT = 96  # pixels that a letter is drawn at
PENS = (2, 4)  # pixels to either side of the middle of a stroke


@cache
def letters():
    """Every letter of every font with either pen, framed as an upload is: (N, 28, 28) uint8."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [ImageFont.truetype(folder / f"{name}.ttf", HEIGHT) for name in FONTS]
    drawn = (_drawn(letter, font) for font in fonts for letter in LETTERS)
    return np.stack([_framed(cv2.dilate(_middles(ink), _disc(pen))) for ink in drawn if ink.any() for pen in PENS])


def _drawn(letter, font):
    """(H, W) uint8, 0 or 1; nothing where the font has no such letter."""
    image = Image.new("1", (3 * HEIGHT, 2 * HEIGHT))
    if font.getmask(letter).getbbox() != font.getmask("\uffff").getbbox():
        ImageDraw.Draw(image).text((HEIGHT, HEIGHT // 4), letter, 1, font)
    return np.uint8(image)


def _middles(ink):
    """The skeleton by openings (Lantuéjoul), of each erosion what an opening loses: gaps that a pen closes."""
    middles = np.zeros_like(ink)
    while ink.any():
        middles |= ink & ~cv2.morphologyEx(ink, cv2.MORPH_OPEN, _disc(1))
        ink = cv2.erode(ink, _disc(1))
    return middles


def _disc(radius):
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, 2 * [2 * radius + 1])


def _framed(mask):
    return frame(255 * mask.astype(np.float32), mask > 0)[0]
