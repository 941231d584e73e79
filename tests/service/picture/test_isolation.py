"""What is not plainly a PNG, JPEG or WebP is decoded in a process that dies in place of the service."""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from contextlib import closing

import numpy as np
import psutil
import pytest
from PIL import Image

from service.picture import isolation
from service.picture.container import DAMAGED
from service.picture.decode import grey_from_upload
from service.picture.decoder import HEAVY, SLOW, packed, unpacked
from service.picture.errors import ImageTooLarge, InvalidImage, OutOfTime, TooMuchWork
from service.picture.isolation import SECONDS, Budget, Decoder
from tests.conftest import REPOSITORY, encode
from tests.hostile.bombs import SMALL, noise, tiff

LIMIT = 200_000_000
STRIPS = SMALL | {273: (4, [8]), 278: (4, [64]), 279: (4, [4_096])}
PIXELS = bytes(4_096)
WAIT = 60  # seconds at most until a busy machine has done what is waited for


def shared_jpeg(scans, strips):
    """A TIFF whose strips are one and the same JPEG of many scans: 86 kB took 3.4 s."""
    jpeg = encode(noise(np.random.default_rng(0), 1_024, 1_024, 1, 16), "JPEG", progressive=True, quality=50)
    stream = jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * scans + jpeg[-2:]
    tags = SMALL | {256: (4, [1_024]), 257: (4, [1_024 * strips]), 259: (3, [7]), 278: (4, [1_024])}
    return tiff(tags | {273: (4, [8] * strips), 279: (4, [len(stream)] * strips)}, stream)


def gif(side):
    """43 bytes, for which Pillow allocates what they claim as soon as it opens them."""
    frame = b"!\xf9\4\x08\0\0\0\0," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0;"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + frame


def runs(height):
    """A BMP whose run-length coding Pillow undoes in Python: 10 MB took 5.5 s."""
    info = struct.pack("<IiiHHIIiiII", 40, 30_000, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1_078) + info + bytes(1_024) + b"\1\1" * 4_000_000


LASTING = shared_jpeg(75, 60)
GREY = encode(Image.new("L", (30, 30), 9), "GIF")
TILES = {322: (17, [32_768]), 323: (17, [32_768]), 324: (16, [16]), 325: (16, [50_000])}
ATTACKS = {
    "BYTE values of 20 million": tiff(STRIPS | {282: (1, [8], 20_000_000)}, PIXELS),
    "BYTE values of 60 million": tiff(STRIPS | {256: (1, [8], 60_000_000)}, PIXELS),
    "174 bytes": tiff(STRIPS | {273: (2, [8], 2**32 - 1)}, b""),
    "offset of 2^63": tiff(STRIPS | {273: (16, [2**63 - 1])}, PIXELS, big=True),
    "values of 2^40": tiff(STRIPS | {279: (16, [4_096], 2**40)}, PIXELS, big=True),
    "a strip a row, in a byte": tiff(
        SMALL
        | {257: (4, [3_000_000]), 256: (4, [8]), 278: (4, [1]), 273: (1, [8] * 3_000_000), 279: (1, [8] * 3_000_000)},
        PIXELS,
    ),
    "tile sides of type 17": tiff(SMALL | {259: (3, [8])} | TILES, zlib.compress(bytes(2**25)), big=True),
    "tiles beyond the picture": tiff(
        SMALL | {256: (4, [1]), 257: (4, [1_000_000]), 322: (4, [4_000]), 323: (4, [16]), 324: (4, [8]), 325: (4, [8])}
    ),
    "a shared JPEG of 85 scans": LASTING,
    "twice the same tag": tiff(STRIPS, PIXELS).replace(struct.pack("<HH", 257, 4), struct.pack("<HH", 256, 4)),
    "2,000 tags": tiff(STRIPS | {tag: (3, [1]) for tag in range(1_000, 3_000)}, PIXELS),
    "1.2 million strips": tiff(STRIPS | {273: (4, [8] * 1_200_000)}, PIXELS),
    "GIF of 65,535 a side": gif(65_535),
    "GIF of comments": b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + b"!\xfe" + 4_000_000 * b"\1a" + b"\0;",
    "BMP of runs": runs(1_200),
    "BMP of 2^31 pixels": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 46_341, 46_341, 1, 24, *[0] * 6),
    "HEIC of nothing": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100_000),
}


OTHERS = set()  # process ids of the decoders that earlier tests of this process have started


@pytest.fixture(scope="module")
def decoders():
    OTHERS.update(child.pid for child in process_of())
    with closing(Decoder()) as decoders:
        yield decoders


def look(data, decoders, budget=None):
    return grey_from_upload(data, LIMIT, budget=budget, decoder=decoders)


def process_of(parent=None):
    """The decoder process of this process, or of another."""
    children = [child for child in psutil.Process(parent).children() if child.pid not in OTHERS]
    return [child for child in children if "service.picture.decoder" in child.cmdline()]


COSTS = """
import json, resource, sys
from contextlib import closing
from service.picture.decode import grey_from_upload
from service.picture.errors import InvalidImage
from service.picture.isolation import Decoder
while size := sys.stdin.buffer.read(8):
    data = sys.stdin.buffer.read(int.from_bytes(size))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with closing(Decoder()) as decoders:
        try:
            said = grey_from_upload(data, 200_000_000, decoder=decoders)[0].shape
        except InvalidImage as error:
            said = str(error)
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = theirs.ru_utime + theirs.ru_stime - before.ru_utime - before.ru_stime
    own = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
    print(json.dumps([said, seconds, theirs.ru_maxrss / 1e3, own / 1e3]))
"""
REFUSALS = DAMAGED, SLOW, HEAVY
START = 2.0  # seconds of processor time that the start of two interpreters may take


@pytest.mark.slow
def test_a_hostile_picture_is_read_or_refused_and_costs_two_seconds_and_300_megabytes_at_most():
    """Seconds of processor time, which does not depend on what else the machine does, are limited by the kernel."""
    pictures = b"".join(len(data).to_bytes(8) + data for data in ATTACKS.values())
    command = [sys.executable, "-c", COSTS]
    found = subprocess.run(command, input=pictures, cwd=REPOSITORY, capture_output=True, check=True)
    for attack, line in zip(ATTACKS, found.stdout.splitlines(), strict=True):
        said, seconds, theirs, own = json.loads(line)
        is_read = isinstance(said, list) and max(said) <= 1_024
        assert is_read or said in REFUSALS or "pixels; the limit " in said, (attack, said)
        # Of libraries, theirs has 60 MB at rest, and ours with numpy 120.
        assert seconds < 2 + START and theirs < 300 + 60 and own < 200, (attack, seconds, theirs, own)


def test_death_by_time_is_too_much_work(decoders):
    budget = Budget()
    for data, sentence in (
        (LASTING, "The image takes too long to decode; save it smaller, or as an ordinary JPEG."),
        (GREY, f"The images take more than {SECONDS:g} seconds to decode together; send fewer."),
    ):
        with pytest.raises(TooMuchWork) as error:
            look(data, decoders, budget)
        assert str(error.value) == sentence


def test_death_by_memory_is_too_large(decoders):
    with pytest.raises(ImageTooLarge) as error:
        look(gif(40_000), decoders)
    assert str(error.value) == (
        "The image takes more memory to decode than a picture may; save it smaller, or as an ordinary JPEG."
    )


def test_pictures_of_one_request_share_its_budget(decoders):
    budget, data = Budget(seconds=0.3), encode(Image.new("RGB", (4_000, 4_000)), "TIFF", compression="tiff_lzw")
    with pytest.raises(TooMuchWork, match=r"^The images take more than 0\.3 seconds to decode together; send fewer\.$"):
        for _ in range(20):
            look(data, decoders, budget)
    assert look(data, decoders)[0].shape == (1_024, 1_024)


def test_a_decoder_that_is_killed_is_replaced(decoders):
    look(GREY, decoders)
    (first,) = process_of()
    os.kill(first.pid, signal.SIGKILL)
    first.wait(WAIT)
    assert (look(GREY, decoders)[0] == 9).all()
    (second,) = process_of()
    assert second.pid != first.pid


def test_a_decoder_that_is_killed_at_work_is_a_damaged_image(decoders):
    look(GREY, decoders)
    (process,) = process_of()

    def kill():
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline and not process.children():
            time.sleep(0.01)  # the poll's interval
        os.kill(process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(InvalidImage, match=r"^The upload is a damaged or truncated image\.$"):
        look(LASTING, decoders)
    killer.join()
    assert (look(GREY, decoders)[0] == 9).all()


def test_nobody_waits_for_a_decoder_beyond_the_deadline(decoders):
    with pytest.raises(OutOfTime):
        look(GREY, decoders, Budget(deadline=time.perf_counter() - 1))
    busy = threading.Thread(target=lambda: pytest.raises(TooMuchWork, look, LASTING, decoders))
    busy.start()
    while not any(child.children() for child in process_of()):
        time.sleep(0.01)  # the poll's interval
    with pytest.raises(OutOfTime):
        look(GREY, decoders, Budget(deadline=time.perf_counter() + 0.1))
    busy.join()


def test_a_picture_that_takes_too_long_by_the_clock_is_ended(monkeypatch):
    """On a system without limits of processor time, as Windows, the clock is the only one."""
    with closing(Decoder()) as decoders:
        look(GREY, decoders)
        monkeypatch.setattr(isolation, "PATIENCE", 0.2)
        with pytest.raises(TooMuchWork) as error:
            look(LASTING, decoders, Budget(seconds=60))
        assert str(error.value) == SLOW


def test_many_threads_share_a_decoder(decoders):
    said = {}

    def one(level):
        said[level] = look(encode(Image.new("L", (30, 30), level), "BMP"), decoders)[0].mean()

    threads = [threading.Thread(target=one, args=(level,)) for level in range(0, 250, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {level: level for level in range(0, 250, 10)}


def test_no_decoder_outlives_the_process_that_started_it():
    program = "from service.picture import isolation; isolation.shared().start(); print(flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        parent.stdout.readline()
        (decoder,) = process_of(parent.pid)
        parent.kill()
    decoder.wait(WAIT)


def test_a_decoder_knows_neither_the_key_nor_the_models(monkeypatch):
    monkeypatch.setenv("QUINTET_API_KEY", "secret")
    with closing(Decoder()) as decoders:
        look(GREY, decoders)
        process = process_of()[-1]
        assert "QUINTET_API_KEY" not in process.environ()
        assert not any("onnxruntime" in one.path or "cv2" in one.path for one in process.memory_maps())


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"{}\n",
        b"[]\n",
        b'{"error": "SystemExit", "says": ""}\n',
        b'{"mode": "L", "size": [9, 9], "width": 9}\nabc',
    ],
)
def test_a_reply_that_cannot_be_true_is_a_damaged_image(reply):
    with pytest.raises(InvalidImage, match="damaged"):
        unpacked(reply)


def test_an_error_comes_through_the_pipe_as_it_was():
    with pytest.raises(TooMuchWork) as error:
        unpacked(packed(TooMuchWork("It is so.")))
    assert str(error.value) == "It is so."
