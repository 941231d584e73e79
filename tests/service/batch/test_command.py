"""quintet batch writes the same rows with Ray Data and without it, also for damaged files and after a kill."""

import os
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
RAY = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: extra `batch`")
ENGINES = [
    "plain",
    pytest.param(
        "ray",
        marks=[
            pytest.mark.slow,
            RAY,
            pytest.mark.filterwarnings("ignore"),  # of Ray's processes and sockets
        ],
    ),
]


@pytest.fixture
def scans(tmp_path):
    """Nine images of digits, in files and an archive, and two files that are not images."""
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
    return folder


@pytest.fixture
def environment(small_models, monkeypatch):
    values = {"QUINTET_MODELS": str(small_models), "QUINTET_DEVICE": "cpu", "QUINTET_THREADS": "1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return os.environ | values


def rows(folder):
    return sorted(output.rows(folder), key=lambda row: row["path"])


@pytest.mark.parametrize("engine", ENGINES)
def test_each_image_gets_one_row(engine, scans, environment, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["batch", str(scans), "--out", str(out), "--engine", engine]) == 0
    found = rows(out)
    assert [row["path"] for row in found] == sorted({row["path"] for row in found})
    names = {os.path.relpath(row["path"], scans): row for row in found}
    assert len(names) == 12
    assert names["a.tar/five.png"] | {"path": ""} == names["5.png"] | {"path": ""}
    assert list(names["5.png"]) == [
        *("path", "digit", "confidence", "accepted", "reason", "agreement"),
        *("cnn", "faster_rcnn", "vit", "error"),
    ]
    assert (names["5.png"]["digit"], names["5.png"]["vit"], names["5.png"]["error"]) == (7, 1, None)
    for name in ("text.png", "cut.png"):
        assert names[name]["digit"] is None
        assert names[name]["error"].endswith(".")
    assert f"12 rows in {out}, 2 of them with an error" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_call_adds_only_rows_of_new_images(engine, scans, environment, tmp_path):
    arguments = ["batch", str(scans), "--out", str(tmp_path / "out"), "--engine", engine]
    main(arguments)
    first = rows(tmp_path / "out")
    (scans / "6.png").write_bytes((scans / "5.png").read_bytes())
    main(arguments)
    assert [row for row in rows(tmp_path / "out") if not row["path"].endswith("/6.png")] == first
    assert len(rows(tmp_path / "out")) == len(first) + 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's processes and sockets
@RAY
@pytest.mark.parametrize("more", [[], ["--read"]])
def test_rows_do_not_depend_on_how_the_work_was_split(scans, environment, tmp_path, more):
    for engine, out in (("plain", "a"), ("ray", "b")):
        main(["batch", str(scans), "--out", str(tmp_path / out), "--engine", engine, *more])
    main(["batch", str(scans / "more"), "--out", str(tmp_path / "c"), "--engine", "plain", *more])
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert rows(tmp_path / "c") == [row for row in rows(tmp_path / "a") if "/more/" in row["path"]]


def test_pages_are_read(scans, environment, tmp_path):
    arguments = ["batch", str(scans / "5.png"), str(scans / "text.png"), "--out", str(tmp_path / "out"), "--read"]
    main([*arguments, "--engine", "plain"])  # whether Ray starts in time is not what this tests
    digit, text = rows(tmp_path / "out")
    assert (digit["text"], digit["transcript"], digit["note"]) == ("7", "7", None)
    assert (text["text"], text["boxes"], text["error"] is None) == (None, None, False)


def test_rows_are_lines_of_json_without_pyarrow(scans, environment, tmp_path, monkeypatch):
    main(["batch", str(scans), "--out", str(tmp_path / "a"), "--engine", "plain"])
    monkeypatch.setattr(output, "has_parquet", lambda: False)
    main(["batch", str(scans), "--out", str(tmp_path / "b")])
    assert not list((tmp_path / "b").glob("*.parquet"))
    for one, other in zip(rows(tmp_path / "a"), rows(tmp_path / "b"), strict=True):
        assert one == other | {"confidence": one["confidence"]}
        assert one["confidence"] == pytest.approx(other["confidence"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing.png"], "'nothing.png' is neither a file nor a folder or pattern that contains images.\n"),
        (["{scans}", "--models", "resnet"], "Unknown model 'resnet'; served models: cnn, faster_rcnn, vit.\n"),
    ],
)
def test_wrong_arguments_get_one_sentence(arguments, sentence, scans, environment, tmp_path, capsys):
    filled = [argument.format(scans=scans) for argument in arguments]
    assert main(["batch", *filled, "--out", str(tmp_path / "out"), "--engine", "plain"]) == 2
    assert capsys.readouterr().err == sentence


def test_a_folder_started_with_other_options_is_refused(scans, environment, tmp_path, capsys):
    arguments = ["batch", str(scans), "--out", str(tmp_path / "out"), "--engine", "plain"]
    main(arguments)
    assert main([*arguments, "--models", "cnn"]) == 2
    assert capsys.readouterr().err.endswith("was started with models = None, not 'cnn'; choose another folder.\n")


def test_a_folder_that_cannot_hold_rows_is_one_sentence(scans, environment, tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    assert main(["batch", str(scans), "--out", str(tmp_path / "file"), "--engine", "plain"]) == 2
    assert capsys.readouterr().err == f"File exists: {tmp_path}/file.\n"
    assert main(["batch", str(scans), "--out", "/proc/out", "--engine", "plain"]) == 2
    assert capsys.readouterr().err == "No such file or directory: /proc/out.\n"
    assert main(["batch", str(scans), "--out", str(scans), "--engine", "plain"]) == 2
    said = f"{scans} holds files that are not results of `quintet batch`; choose another folder.\n"
    assert capsys.readouterr().err == said


def test_a_second_run_in_a_folder_is_refused_while_the_first_one_writes(scans, environment, tmp_path, capsys):
    """Bug: two runs wrote over each other's rows."""
    out = tmp_path / "out"
    arguments = ["batch", str(scans), "--out", str(out), "--engine", "plain"]
    with output.opened(out, {}):
        assert main(arguments) == 2
    assert capsys.readouterr().err == (
        f"Another `quintet batch` is writing into {out}; wait for it or choose another folder.\n"
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_are_those_of_hostile_files_too(engine, scans, environment, tmp_path):
    """One bad file is one row with an error, whoever reads it."""
    os.mkfifo(scans / "z.png")
    Path(os.fsdecode(os.fsencode(scans) + b"/\xff.png")).write_bytes((scans / "5.png").read_bytes())
    (scans / "cut.tar").write_bytes((scans / "a.tar").read_bytes()[:1_000])
    out = tmp_path / "out"
    assert main(["batch", str(scans), "--out", str(out), "--engine", engine]) == 0
    found = {row["path"].removeprefix(f"{scans}/"): row for row in rows(out)}
    assert len(found) == len(rows(out)) == 15
    assert (found["%FF.png"]["digit"], found["z.png"]["error"]) == (7, "The file cannot be read: it is a pipe.")
    assert found["cut.tar"]["error"] == "Reading stopped after 0 images: unexpected end of data."


def test_a_fault_with_one_image_costs_one_row(scans, environment, tmp_path, monkeypatch):
    """Bug: offsets of 2^63 in a TIFF stopped the run."""
    bad = (scans / "3.png").read_bytes()

    def fail(data, *arguments, **options):
        if data == bad:
            raise OverflowError("Python int too large to convert to C long")
        return grey_from_upload(data, *arguments, **options)

    monkeypatch.setattr("service.recogniser.grey_from_upload", fail)
    assert main(["batch", str(scans), "--out", str(tmp_path / "out"), "--engine", "plain"]) == 0
    errors = {row["path"]: row["error"] for row in rows(tmp_path / "out")}
    assert errors[str(scans / "3.png")] == (
        "The image cannot be read: OverflowError Python int too large to convert to C long."
    )
    assert errors[str(scans / "4.png")] is None


@pytest.mark.slow
def test_a_picture_of_two_digits_is_refused_as_by_predict(released, tmp_path, monkeypatch):
    """Bug: the batch accepted what /predict refuses, since it did not count the digits."""
    monkeypatch.setenv("QUINTET_MODELS", str(released))
    (tmp_path / "two.png").write_bytes(encode(Image.fromarray(draw("4 2", (200, 400)))))
    main(["batch", str(tmp_path / "two.png"), "--out", str(tmp_path / "out"), "--engine", "plain"])
    (row,) = rows(tmp_path / "out")
    assert (row["accepted"], row["reason"]) == (False, "several_digits")


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
@pytest.mark.parametrize("engine", ["plain", pytest.param("ray", marks=[LONG, RAY])])
def test_a_killed_run_continues_without_losing_or_repeating_a_row(engine, environment, tmp_path):
    """The whole process group gets SIGKILL after the first rows are written."""
    scans, out, count = tmp_path / "scans", tmp_path / "out", 3_000
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


@pytest.mark.slow
@LONG
@RAY
@pytest.mark.filterwarnings("ignore")  # of Ray's processes and sockets
def test_a_run_on_a_cluster_survives_the_death_of_a_node(environment, tmp_path):
    """Two nodes on this machine have an actor each; the second node is killed after the first rows are written."""
    from ray.cluster_utils import Cluster

    scans, out, count = tmp_path / "scans", tmp_path / "out", 3_000
    many(scans, count)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 5, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        run = [sys.executable, "-m", "service", "batch", str(scans), "--out", str(out), "--engine", "ray"]
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
