"""Time `canonicalise` for a JPEG photograph of 12 megapixels, a screenshot and a picture of 28x28 pixels.

The uploads are drawn here. `grey_from_upload` and `canonicalise` are timed separately in the calling thread, so one
core limits them. The last line of the output is JSON, with units in its keys.

    python -m benchmarks.canonicalise
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image

from benchmarks.offline import hardware
from service.inference.artefact import open_finder
from service.picture.decode import FORMATS, grey_from_upload
from service.picture.digit import canonicalise
from service.picture.ink import FILE, InkFinder

WARM_UP = 10  # calls before the clock
SEED = 0


def photograph(width: int = 4000, height: int = 3000) -> bytes:
    """The JPEG of a digit in ballpoint on unevenly lit, grainy paper."""
    generator = np.random.default_rng(SEED)
    light = np.linspace(0.6, 1.0, width)[None, :] * np.linspace(1.0, 0.8, height)[:, None]
    page = 200 * light + cv2.resize(generator.normal(0, 4, (height // 4, width // 4)), (width, height))
    ink = np.zeros((height, width), np.uint8)
    cv2.putText(ink, "5", (1600, 2000), cv2.FONT_HERSHEY_SIMPLEX, 40, 255, 40, cv2.LINE_AA)
    return _encode(page * (1 - ink / 255 * 0.7), "JPEG")


def screenshot(width: int = 800, height: int = 600) -> bytes:
    page = np.full((height, width), 255, np.uint8)
    cv2.putText(page, "3", (300, 420), cv2.FONT_HERSHEY_SIMPLEX, 10, 0, 16, cv2.LINE_AA)
    return _encode(page, "PNG")


def tiny() -> bytes:
    """The PNG of a digit of 28x28 pixels without MNIST's framing."""
    page = np.full((28, 28), 255, np.uint8)
    cv2.putText(page, "2", (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
    return _encode(page, "PNG")


@cache
def finder() -> InkFinder:
    return open_finder(Path("models") / FILE, threads=1)


def framed() -> bytes:
    """The PNG of a digit in MNIST's framing, which `canonicalise` must not change."""
    return _encode(canonicalise(grey_from_upload(tiny(), 28 * 28, FORMATS)[0], finder()).image, "PNG")


def _encode(page: np.ndarray, kind: str) -> bytes:
    file = BytesIO()
    Image.fromarray(np.uint8(page.clip(0, 255))).save(file, kind)
    return file.getvalue()


def measure(data: bytes, calls: int) -> np.ndarray:
    """Milliseconds of decoding and of canonicalising, (calls, 2)."""
    times = np.empty((WARM_UP + calls, 2))
    for call in times:
        start = time.perf_counter()
        picture, _ = grey_from_upload(data, 16_000_000, FORMATS)
        decoded = time.perf_counter()
        canonicalise(picture, finder())
        call[:] = decoded - start, time.perf_counter() - decoded
    return times[WARM_UP:] * 1e3


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=100, help="timed calls of each kind; default: 100")
    arguments = parser.parse_args(argv)
    setting = {
        "hardware": hardware(),
        "cores": len(os.sched_getaffinity(0)),
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "calls": arguments.calls,
        "warm_up": WARM_UP,
        "seed": SEED,
    }
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    print(f"{'upload':<20} {'decode p50':>11} {'canonicalise p50':>17} {'p95 ms':>7}")
    rows = []
    for name, draw in (
        ("12-megapixel JPEG", photograph),
        ("800x600 PNG", screenshot),
        ("28x28", tiny),
        ("28x28 framed", framed),
    ):
        (decode, p50), (_, p95) = np.percentile(measure(draw(), arguments.calls), (50, 95), axis=0).round(3).tolist()
        rows.append({"upload": name, "decode_p50_ms": decode, "canonicalise_p50_ms": p50, "canonicalise_p95_ms": p95})
        print(f"{name:<20} {decode:>11.3f} {p50:>17.3f} {p95:>7.3f}")
    print(json.dumps({"setting": setting, "rows": rows}))


if __name__ == "__main__":
    main()
