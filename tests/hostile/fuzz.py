"""Thousands of damaged, lying and oversized uploads to a service of its own: each gets an answer, none a 5xx.

Printed are the statuses of each route and the worker's memory, at rest and at its peak. Case N of a seed is always the
same, and one that fails is named. 20,000 cases take a few minutes on two cores.

    python -m tests.hostile.fuzz --cases 50000 --seed 1
"""

import argparse
import base64
import json
import random
import struct
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import cv2
import httpx2
import numpy as np
from PIL import Image

from tests.conftest import RELEASED, draw, encode
from tests.hostile.bombs import png_chunk
from tests.serving import serving, workers

ANSWERS = 200, 400, 404, 413, 415, 422  # what a client may be told about its upload
CLIENTS = 4  # at once
SIDES = 0, 1, 2, 28, 255, 4_000, 4_001, 16_000, 32_767, 65_535, 2**31 - 1, 2**32 - 1  # that a header may claim
CRLF = b"\r\n"


@cache
def pictures():
    """The same digit in every format and mode we read."""
    digit = Image.fromarray(draw("7"))
    modes = {
        "PNG": "1 L LA P RGB RGBA I;16",
        "JPEG": "L RGB CMYK",
        "GIF": "L P",
        "BMP": "1 L P RGB",
        "WEBP": "RGB RGBA",
        "TIFF": "1 L P RGB RGBA CMYK LAB I;16 I F",
    }
    colour = digit.convert("RGB")
    files = [
        encode((colour if mode == "LAB" else digit).convert(mode), kind)
        for kind, listed in modes.items()
        for mode in listed.split()
    ]
    files += [encode(colour, "TIFF", compression=c) for c in ("tiff_lzw", "jpeg", "tiff_deflate")]
    turned = Image.Exif()
    turned[0x0112] = 6
    files.append(encode(digit.convert("1"), "TIFF", compression="group4"))
    files.append(encode(digit, "GIF", save_all=True, append_images=[digit.rotate(9)] * 3))
    files.append(encode(colour, "JPEG", progressive=True, exif=b"Exif\0\0" + turned.tobytes()))
    return files


@cache
def bombs():
    """Pictures that are just allowed, one that is too large, and a body that is; bombs.py has those made to hurt."""
    return [
        encode(Image.new("1", (20_000, 20_000)), "PNG"),
        encode(Image.new("L", (4_000, 4_000)), "PNG"),
        encode(Image.new("RGBA", (4_000, 4_000)), "PNG"),
        encode(Image.new("RGB", (4_000, 4_000)), "WEBP", lossless=True),
        encode(Image.new("RGB", (16_000, 1_000)), "JPEG"),
        encode(Image.new("F", (4_000, 4_000)), "TIFF", compression="tiff_adobe_deflate"),
        bytes(10_000_001),
    ]


def damage(data, chance):
    """Bytes changed, removed, doubled or taken from another file, more often near the beginning with its headers."""
    data = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 2, 4, 16))):
        at = chance.randrange(min(len(data), chance.choice((32, 400, len(data)))) or 1)
        kind = chance.randrange(6)
        if kind < 3:
            data[at : at + 1] = bytes([chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))])
        elif kind == 3:
            del data[at : at + chance.choice((1, 4, len(data)))]
        elif kind == 4:
            data[at:at] = data[at : at + chance.randrange(64)]
        else:
            other = chance.choice(pictures())
            data[at:] = other[chance.randrange(len(other)) :]
    return bytes(data)


def lie(data, chance):
    """A header with a false size, in a PNG with a valid checksum."""
    width, height = (chance.choice(SIDES) for _ in range(2))
    if data.startswith(b"\x89PNG"):
        header = struct.pack(">II", width, height) + data[24:26] + bytes(data[26:29])
        return data[:8] + png_chunk(b"IHDR", header) + data[33:]
    if data.startswith(b"GIF"):
        size = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
        return data[:6] + size + data[10:]
    if data.startswith(b"BM"):
        return data[:18] + struct.pack("<II", width, height) + data[26:]
    if data.startswith(b"\xff\xd8"):
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5
        return data[:at] + struct.pack(">HH", height & 0xFFFF, width & 0xFFFF) + data[at + 4 :]
    at = chance.randrange(8, max(9, len(data) - 4))  # TIFF's directory may be anywhere, WebP's sizes are packed
    return data[:at] + struct.pack("<I", width) + data[at + 4 :]


def scrawl(chance):
    """Lines, rings and specks that touch, lie inside each other or at the edge, and are hard to cut into digits."""
    width, height = (chance.choice((1, 9, 100, 1_024)) + chance.randrange(99) for _ in range(2))
    picture = np.full((height, width), 255, np.uint8)
    for _ in range(chance.choice((1, 2, 9, 100, 400))):
        x, y, to_x, to_y = (chance.randrange(-9, side + 9) for side in (width, height) * 2)
        pen = chance.choice((1, 1, 3, 9, 40))
        if chance.random() < 0.5:
            cv2.line(picture, (x, y), (to_x, to_y), chance.randrange(200), pen)
        else:
            cv2.circle(picture, (x, y), chance.randrange(600), chance.randrange(200), pen)
    return encode(Image.fromarray(picture), "PNG")


def upload(chance):
    kind = chance.randrange(40)
    if kind == 0:
        return chance.choice(bombs())
    data = chance.choice(pictures())
    return damage(lie(data, chance) if kind < 10 else data, chance)


def multipart(field, files, chance):
    """A form, and its type; both are sometimes wrong."""
    boundary = b"b" * chance.choice((1, 8, 70, 200))
    parts = []
    for data in files:
        name = (
            chance.choice((field, field, field, b"other", b"", b'"\r\n', b"\xff" * 99))
            if chance.random() < 0.1
            else field
        )
        file = chance.choice((b'; filename="x.png"', b"; filename=../../etc/passwd", b"", b"; filename*=x''%ff"))
        file = file if chance.random() < 0.1 else b'; filename="x.png"'
        parts += [b"--" + boundary, b"Content-Disposition: form-data; name=" + name + file]
        parts += [b"Content-Type: " + chance.choice((b"image/png", b"image/svg+xml", b"\xff", b"")), b"", data]
    body = CRLF.join([*parts, b"--" + boundary + b"--", b""])
    if chance.random() < 0.3:
        body = damage(body, chance)
    charset = chance.choice(("", "; charset=utf-16", "; charset=nonsense", "; charset=undefined"))
    return body, f"multipart/form-data; boundary={boundary.decode()}{charset if chance.random() < 0.1 else ''}"


def texts(field, chance):
    """JSON with images in base64, sometimes invalid, sometimes more than the limit."""
    kind = chance.choice(("", "", "data:image/png;base64,", "data:,", "data:text/html;base64,", "https://example.org/"))
    value = kind + base64.b64encode(upload(chance)).decode()
    value = chance.choice(
        (value, value, value, value[:-1], value.replace("A", "%"), None, 7, [], [value], {"a": value})
    )
    count = chance.choice((0, 1, 2, 33))
    content = {chance.choice((field, field, field, "picture")): [value] * count if field == "images" else value}
    body = json.dumps(content).encode()
    if chance.random() < 0.05:
        nested, long, strings = b"[" * 200_000, b"9" * 5_000_000, b'["' + b"a" * 9_000_000 + b'"' + b',"b"' * 200_000
        body = b'{"image":' + chance.choice(
            (nested, long, strings, b"[" + b"[]," * 3_000_000, b"[" + b"0," * 4_000_000)
        )
        body += chance.choice((b"]}", b"}", b""))
    return damage(body, chance) if chance.random() < 0.4 else body


def case(seed, number):
    """The arguments of a POST: its path, body and headers."""
    chance = random.Random(f"{seed}/{number}")
    query = chance.choice(("", "?explain=true", "?models=cnn"))
    if chance.random() < 0.03:
        query = chance.choice(("?models=%00", "?explain=%ff", "?models=" + "x," * 500, "?" + "a=b&" * 2_000))
    path = chance.choice(("/predict",) * 5 + ("/predict/batch", "/read") * 2)
    if chance.random() < 0.1:
        body = texts("images" if path == "/predict/batch" else "image", chance)
        kind = chance.choice(("application/json",) * 9 + ("application/vnd.bentoml+pickle",))
    elif path == "/predict/batch":
        body, kind = multipart(b"images", [upload(chance) for _ in range(chance.choice((0, 1, 2, 5, 33)))], chance)
    elif chance.random() < 0.3:
        body, kind = multipart(b"image", [upload(chance) for _ in range(chance.choice((0, 1, 1, 1, 2, 12)))], chance)
    else:
        body = scrawl(chance) if path == "/read" and chance.random() < 0.5 else upload(chance)
        kind = chance.choice(("image/png", "image/x", "application/octet-stream"))
        if chance.random() < 0.03:
            kind = chance.choice(("text/plain", "multipart/form-data", "multipart/form-data; boundary=b", "x" * 5_000))
    return path + query, body, {"Content-Type": kind}


def ask(client, seed, number, case=case):
    """The path and status of one case; a text replaces the status if the answer is not allowed."""
    path, body, headers = case(seed, number)
    try:
        answer = client.post(path, content=body, headers=headers)
        status = answer.status_code
        if status not in ANSWERS or (status != 200 and not one_sentence(answer)):
            status = f"case {number}: {status} {answer.text[:200]}"
    except httpx2.HTTPError as error:
        status = f"case {number}: {error!r}"
    return path.split("?")[0], status


def one_sentence(answer):
    content = answer.json()
    return list(content) == ["error"] and len(content["error"]) < 500 and "\n" not in content["error"]


def memory(process, line):
    """Megabytes, VmRSS for now and VmHWM for the peak."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split(f"{line}:")[1].split()[0]) / 1e3


def fuzz(address, seed, cases, case=case):
    """Counts of (path, status), and the worker's memory in MB at rest and at its peak."""
    (worker,) = workers(address)
    with httpx2.Client(base_url=address, timeout=60) as client, ThreadPoolExecutor(CLIENTS) as pool:
        client.post("/predict", content=pictures()[0], headers={"Content-Type": "image/png"}).raise_for_status()
        rest = memory(worker, "VmRSS")
        found = Counter(pool.map(lambda number: ask(client, seed, number, case), range(cases)))
    assert workers(address) == [worker], "the worker crashed and was started again"
    return found, rest, memory(worker, "VmHWM")


def main(about=__doc__, case=case):
    """about: the docstring of the module whose cases are asked."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with serving(QUINTET_MODELS=str(RELEASED), QUINTET_DEVICE="cpu") as address:
        found, rest, peak = fuzz(address, arguments.seed, arguments.cases, case)
    for (path, status), count in sorted(found.items(), key=str):
        print(f"{path:40} {status} {count}")
    print(f"{arguments.cases} cases; the worker had {rest:.0f} MB at rest and {peak:.0f} MB at its peak")
    return int(any(isinstance(status, str) for _, status in found))


if __name__ == "__main__":
    sys.exit(main())
