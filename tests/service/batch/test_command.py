"""quintet batch writes the same rows with Ray Data and without it, also for damaged files and after a kill."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from service.batch import output
from service.cli import main
from service.picture.decode import grey_from_upload
from tests.conftest import REPOSITORY, draw, encode

START = 600  # seconds that the first row may take on a busy machine


LONG = pytest.mark.skipif("LONG_TESTS" not in os.environ, reason="takes Ray minutes: LONG_TESTS=1 runs it")
RAY = (
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: extra `batch`"),
    pytest.mark.filterwarnings("ignore"),  # of Ray's processes and sockets
)
ENGINES = "plain", pytest.param("ray", marks=RAY)


@pytest.fixture
def scans(tmp_path):
    """Ten images of digits, in files and an archive, and files that are hostile or no images."""
    folder = tmp_path / "scans"
    (folder / "more").mkdir(parents=True)
    for digit in range(6):
        (folder / f"{digit}.png").write_bytes(encode(Image.fromarray(draw(str(digit)))))
    for digit in range(3):
        path = folder / "more" / f"{digit}.jpg"
        path.write_bytes(encode(Image.fromarray(draw(str(digit))), "JPEG"))
    with tarfile.open(folder / "a.tar", "w") as archive:
        archive.add(folder / "5.png", "five.png")
    (folder / "text.png").write_bytes(b"no image")
    (folder / "cut.png").write_bytes((folder / "1.png").read_bytes()[:100])
    os.mkfifo(folder / "z.png")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes((folder / "5.png").read_bytes())
    (folder / "cut.tar").write_bytes((folder / "a.tar").read_bytes()[:1_000])
    return folder


@pytest.fixture
def environment(small_models, monkeypatch):
    values = {"QUINTET_MODELS": str(small_models), "QUINTET_DEVICE": "cpu", "QUINTET_THREADS": "1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return os.environ | values


def rows(folder):
    return sorted(output.rows(folder), key=lambda row: row["path"])


@pytest.fixture
def batch(environment, tmp_path, capsys):
    """Runs `quintet batch` without Ray, unless told otherwise. Gives its exit status and what it said."""

    def batch(*sources, out=tmp_path / "out", engine="plain"):
        status = main(["batch", *map(str, sources), "--out", str(out), "--engine", engine])
        return status, capsys.readouterr().err

    return batch


@pytest.mark.parametrize("engine", ENGINES)
def test_each_image_gets_one_row_and_a_second_call_adds_those_of_new_images(engine, batch, scans, tmp_path):
    status, said = batch(scans, engine=engine)
    assert status == 0 and f"15 rows in {tmp_path / 'out'}, 4 of them with an error" in said
    first = rows(tmp_path / "out")
    found = {row["path"].removeprefix(f"{scans}/"): row for row in first}
    assert len(found) == len(first) == 15
    assert found["a.tar/five.png"] | {"path": ""} == found["5.png"] | {"path": ""}
    assert list(found["5.png"]) == [
        *("path", "digit", "confidence", "accepted", "reason", "agreement"),
        *("cnn", "faster_rcnn", "vit", "error"),
    ]
    assert [found["5.png"][name] for name in ("digit", "accepted", "reason", "vit", "error")] == [
        7,
        True,
        None,
        1,
        None,
    ]
    for name in ("text.png", "cut.png"):
        assert found[name]["digit"] is None and found[name]["error"].endswith(".")
    assert (found["%FF.png"]["digit"], found["z.png"]["error"]) == (7, "The file cannot be read: it is a pipe.")
    assert found["cut.tar"]["error"] == "Reading stopped after 0 images: unexpected end of data."
    (scans / "6.png").write_bytes((scans / "5.png").read_bytes())
    batch(scans, engine=engine)
    second = rows(tmp_path / "out")
    assert [row for row in second if not row["path"].endswith("/6.png")] == first
    assert len(second) == len(first) + 1


@pytest.mark.parametrize("more", [[], ["--read"]])
@pytest.mark.parametrize("engine", [pytest.param("ray", marks=RAY)])
def test_rows_do_not_depend_on_how_the_work_was_split(engine, batch, scans, tmp_path, more):
    batch(scans, *more)
    batch(scans, *more, out=tmp_path / "b", engine=engine)
    batch(scans / "more", *more, out=tmp_path / "c")
    whole = rows(tmp_path / "out")
    assert whole == rows(tmp_path / "b")
    assert rows(tmp_path / "c") == [row for row in whole if "/more/" in row["path"]]


def test_pages_are_read(batch, scans, tmp_path):
    batch(scans / "5.png", scans / "text.png", "--read")
    digit, text = rows(tmp_path / "out")
    assert (digit["text"], digit["transcript"], digit["note"]) == ("7", "7", None)
    assert (text["text"], text["boxes"], text["error"] is None) == (None, None, False)


def test_rows_are_lines_of_json_without_pyarrow(batch, scans, tmp_path, monkeypatch):
    batch(scans)
    monkeypatch.setattr(output, "find_spec", lambda _name: None)
    batch(scans, out=tmp_path / "b")
    assert not list((tmp_path / "b").glob("*.parquet"))
    for one, other in zip(rows(tmp_path / "out"), rows(tmp_path / "b"), strict=True):
        assert one == other | {"confidence": one["confidence"]}
        assert one["confidence"] == pytest.approx(other["confidence"])


def test_what_cannot_be_done_is_one_sentence(batch, scans, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    out = tmp_path / "out"
    assert batch("no.png") == (2, "'no.png' is neither a file nor a folder or pattern that contains images.\n")
    unknown = "Unknown model 'resnet'; served models: cnn, faster_rcnn, vit.\n"
    assert batch(scans, "--models", "resnet", out=tmp_path / "b") == (2, unknown)
    assert batch(scans, out=tmp_path / "file") == (2, f"File exists: {tmp_path}/file.\n")
    assert batch(scans, out="/proc/out") == (2, "No such file or directory: /proc/out.\n")
    others = f"{scans} holds files that are not results of `quintet batch`; choose another folder.\n"
    assert batch(scans, out=scans) == (2, others)
    with output.opened(out, {}):  # Bug: two runs wrote over each other's rows
        busy = f"Another `quintet batch` is writing into {out}; wait for it or choose another folder.\n"
        assert batch(scans) == (2, busy)
    shutil.rmtree(out)
    batch(scans / "5.png")
    status, said = batch(scans / "5.png", "--models", "cnn")
    assert status == 2 and said.endswith("was started with models = None, not 'cnn'; choose another folder.\n")


def test_a_fault_with_one_image_costs_one_row(batch, scans, tmp_path, monkeypatch):
    """Bug: offsets of 2^63 in a TIFF stopped the run."""
    bad = (scans / "3.png").read_bytes()

    def fail(data, *arguments, **options):
        if data == bad:
            raise OverflowError("Python int too large to convert to C long")
        return grey_from_upload(data, *arguments, **options)

    monkeypatch.setattr("service.recogniser.grey_from_upload", fail)
    assert batch(scans)[0] == 0
    errors = {row["path"]: row["error"] for row in rows(tmp_path / "out")}
    fault = "The image cannot be read: OverflowError Python int too large to convert to C long."
    assert (errors[str(scans / "3.png")], errors[str(scans / "4.png")]) == (fault, None)


def many(folder, count):
    """A folder of `count` images of digits, and one file that is not an image."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}.png").write_bytes(encode(Image.fromarray(draw(str(number % 10), (60, 60), 1.5, 3))))
    (folder / "00500.png").write_bytes(b"no image")


def wait_for_rows(process, out):
    """Wait until there is a file of rows, while the run goes on."""
    deadline = time.monotonic() + START
    while not list(out.glob("[!_]*")):
        assert process.poll() is None, "the run ended before its first rows"
        assert time.monotonic() < deadline, f"no row after {START} s"
        time.sleep(0.01)  # the poll's interval


def assert_whole(scans, out, count):
    """Check that each image has one row, and that the file which is not an image has an error."""
    found = rows(out)
    assert [row["path"] for row in found] == [str(scans / f"{number:05}.png") for number in range(count)]
    assert [row["path"] for row in found if row["error"]] == [str(scans / "00500.png")]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["plain", pytest.param("ray", marks=[LONG, *RAY])])
def test_a_killed_run_continues_without_losing_or_repeating_a_row(engine, environment, tmp_path):
    """The whole process group gets SIGKILL after the first rows are written."""
    scans, out, count = tmp_path / "scans", tmp_path / "out", 1_200
    many(scans, count)
    run = [sys.executable, "-m", "service", "batch", str(scans), "--out", str(out), "--engine", engine]
    process = subprocess.Popen(run, cwd=REPOSITORY, env=environment, start_new_session=True)
    try:
        wait_for_rows(process, out)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(run, cwd=REPOSITORY, env=environment, check=True)
    assert_whole(scans, out, count)


@LONG
@pytest.mark.parametrize("engine", [pytest.param("ray", marks=RAY)])
def test_a_run_on_a_cluster_survives_the_death_of_a_node(engine, environment, tmp_path):
    """Two nodes on this machine have an actor each; the second node is killed after the first rows are written."""
    from ray.cluster_utils import Cluster

    scans, out, count = tmp_path / "scans", tmp_path / "out", 1_200
    many(scans, count)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 5, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        run = [sys.executable, "-m", "service", "batch", str(scans), "--out", str(out), "--engine", engine]
        run += ["--workers", "2", "--address", cluster.address]
        process = subprocess.Popen(run, cwd=REPOSITORY, env=environment)
        try:
            wait_for_rows(process, out)
            cluster.remove_node(second, allow_graceful=False)
            assert process.wait(START) == 0
        finally:
            process.kill()
            process.wait()
    finally:
        cluster.shutdown()
    assert_whole(scans, out, count)
