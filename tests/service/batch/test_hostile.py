"""Files that were made to stop a run: each costs one row with an error, and bounded memory and time."""

import fcntl
import gzip
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time

import psutil
import pytest

from service.batch import unpack
from service.batch.sources import Reader, find
from service.batch.unpack import FEW, IMAGE, MEMORY, Image, Part
from tests.conftest import REPOSITORY
from tests.service.batch.archives import images, pack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to the limits of a process")
LIMIT = 10_000_000
LARGEST = """
import resource, sys
from pathlib import Path
from tests.service.batch.archives import images
(image,) = images(Path(sys.argv[1]), limit=10_000_000)
print(image.error)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def header(name, size, kind=tarfile.REGTYPE):
    """The header of a member that claims `size` bytes."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    return entry.tobuf(tarfile.GNU_FORMAT)


def only(tmp_path):
    """The one image that is read in a folder."""
    (image,) = images(tmp_path, limit=LIMIT)
    assert image.data is None
    return image.error


def test_a_member_that_claims_exabytes_ends_its_archive(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(header("a.png", 2**60) + bytes(10_000))
    (image,) = images(path)
    assert (image.path, image.error) == (str(path), "Reading stopped after 0 images: unexpected end of data.")


def test_pipes_sockets_devices_and_broken_links_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tmp_path / "b.png"))
    (tmp_path / "c.png").symlink_to("/dev/zero")
    (tmp_path / "d.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "e.tar")
    os.mkfifo(tmp_path / "f.parquet")
    assert [image.error for image in images(tmp_path)] == [
        "The file cannot be read: it is a pipe.",
        "The file cannot be read: it is a socket.",
        "The file cannot be read: it is a device.",
        "The file cannot be read: No such file or directory.",
        "Reading stopped after 0 images: it is a pipe.",
        "Reading stopped after 0 images: it is a pipe.",
    ]


def test_a_header_of_a_gigabyte_takes_bounded_memory(tmp_path):
    """Bug: 3 MB of it took 6.4 GB."""
    parts = [gzip.compress(header("a", 1 << 30, tarfile.XHDTYPE)), *[gzip.compress(bytes(1 << 26))] * 16]
    (tmp_path / "a.tar.gz").write_bytes(b"".join(parts))
    # In a process of its own, whose children are no others: Linux keeps the largest of all that there ever were.
    command = [sys.executable, "-c", LARGEST, tmp_path]
    printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed[0] == "Reading stopped after 0 images: it takes too much memory."
    assert int(printed[1]) << 10 < MEMORY + 200_000_000


def test_a_long_name_ends_its_archive(tmp_path):
    pack(tmp_path / "a.tar", ("n" * 5_000 + ".png", b"x"))
    assert only(tmp_path) == "Reading stopped after 0 images: the name of a member has more than 4096 bytes."


def test_a_member_with_a_wrong_map_of_holes_ends_its_archive(tmp_path):
    pack(tmp_path / "a.tar", ("a.png", b"x"))
    entry = tarfile.TarInfo("b.png")
    entry.size = 512
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**70)}
    data = entry.tobuf(tarfile.PAX_FORMAT) + b"9" * 512 + bytes(1_024)
    (tmp_path / "a.tar").write_bytes(data)
    assert only(tmp_path).startswith("Reading stopped after 0 images: ")


def test_an_archive_of_a_million_empty_members_takes_bounded_time(tmp_path):
    """tarfile needs about 20 seconds for them, and a file of less than a megabyte may take one here."""
    (tmp_path / "a.tgz").write_bytes(gzip.compress(header("a.txt", 0) * 2_000) * 500)
    (image,) = images(tmp_path, limit=LIMIT, seconds=1)
    assert image.error == "Reading stopped after 0 images: it takes too much processor time."


def test_a_file_of_which_no_byte_comes_takes_bounded_time(tmp_path):
    """The kernel lets a process wait that opens a file on which another one has a lease."""
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel asks for the lease by it
    with path.open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        (image,) = images(tmp_path, silence=1)
    signal.signal(signal.SIGIO, before)
    assert image.error == "The file cannot be read: no byte of it comes."


def test_a_reading_process_that_is_killed_costs_one_file(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(bytes(LIMIT))  # more than fits into a pipe
    with Reader(LIMIT) as reader:
        (piece,) = find([str(tmp_path)], reader)
        found = reader.images(piece)
        first = next(found)
        (process,) = [one for one in psutil.Process().children() if unpack.__file__ in one.cmdline()]
        while process.io_counters().read_chars < 2 * LIMIT:  # it has the second file, and cannot send it yet
            time.sleep(0.01)
        process.kill()
        rest = list(found)
    assert [image.error for image in [first, *rest]] == [
        None,
        "The file cannot be read: the process that read it ended with status -9.",
        *[None] * 3,
    ]


def test_a_file_whose_image_came_has_no_second_row_when_the_reading_process_dies(tmp_path, monkeypatch):
    """Bug: it had two in one of four runs, because the process had not yet said that the file ends."""
    dying = tmp_path / "dying"
    dying.write_text(
        """#!/bin/sh
echo '{}'
read question
path=$(echo "$question" | sed 's/.*"parts": [^"]*"\\([^"]*\\)".*/\\1/')
printf '{"path": "%s", "error": null, "size": 4}\\ndata' "$path"
"""
    )
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    with Reader(LIMIT) as reader:
        found = list(reader.images([Part("a.png"), Part("b.png")]))
    assert found == [Image("a.png", b"data"), Image("b.png", b"data")]


def test_a_reading_process_that_does_not_start_stops_the_run(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"a")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="The process that reads images did not start: "):
        images(tmp_path)


@pytest.fixture
def parquet():
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: extra `batch`")
    from pyarrow import parquet

    return parquet


def table(parquet, path, values, **options):
    import pyarrow

    parquet.write_table(pyarrow.table({"image": pyarrow.array(values)}), path, **options)


def test_a_table_of_one_image_a_million_times_is_refused(parquet, tmp_path):
    """Bug: the like of it, 504 bytes, took gigabytes."""
    table(parquet, tmp_path / "a.parquet", [b"z" * 90] * 1_000_000)
    size = (tmp_path / "a.parquet").stat().st_size
    most = f"it holds more than {FEW + size // IMAGE} images, the most for its {size} bytes"
    assert only(tmp_path) == f"Reading stopped after 0 images: {most}."


def test_an_archive_of_one_image_a_hundred_thousand_times_is_cut_off(tmp_path):
    path = tmp_path / "a.tgz"
    member = header("a.png", 1) + b"x".ljust(512, b"\0")
    path.write_bytes(gzip.compress(member * 1_000) * 100)
    found = images(path)
    most = FEW + path.stat().st_size // IMAGE
    assert len(found) == most + 1
    assert found[-1].error.startswith(f"Reading stopped after {most} images: it holds more than {most} images")


def test_a_page_of_450_megabytes_takes_bounded_memory(parquet, tmp_path):
    table(parquet, tmp_path / "a.parquet", [bytes(MEMORY + 50_000_000)], compression="zstd", use_dictionary=False)
    assert only(tmp_path) == "Reading stopped after 0 images: it takes too much memory."


def test_an_ordinary_table_of_photographs_is_read(parquet, tmp_path):
    """pyarrow writes 1,024 images to a page, and a page is loaded as a whole."""
    table(parquet, tmp_path / "a.parquet", [os.urandom(200_000) for _ in range(1_100)])
    with Reader(LIMIT) as reader:
        errors = [image.error for piece in find([str(tmp_path)], reader) for image in reader.images(piece)]
    assert errors == [None] * 1_100


def test_a_folder_that_cannot_be_listed_gets_a_row(tmp_path):
    """Here, because its path is longer than a path may be."""
    (tmp_path / "a.png").write_bytes(b"a")
    before = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(17):
            os.mkdir("n" * 255)
            os.chdir("n" * 255)
    finally:
        os.chdir(before)
    good, bad = images(tmp_path)
    assert (good.data, bad.data) == (b"a", None)
    assert bad.path.startswith(f"{tmp_path}/nnn") and bad.error == "The file cannot be read: File name too long."
