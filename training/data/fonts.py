"""The typefaces that come with matplotlib."""

from functools import cache
from pathlib import Path

import matplotlib
from PIL import ImageFont

FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSans-Bold.ttf",
    "cmr10.ttf",
    "STIXGeneral.ttf",
)


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """One of FONTS; size: in pixels, of the whole line."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)
