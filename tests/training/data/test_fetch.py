"""Small files in the formats of the published data sets are converted to the form that the sources read."""

import io
import json
import subprocess
import tarfile
import zlib

import numpy as np
import pytest

from training.data import fetch
from training.data.strokes import Strokes

INCLUDED = """.VERSION 1.0
.WRITER_ID somebody
.COORD X Y T
.X_POINTS_PER_INCH 100
.Y_POINTS_PER_INCH 200
.PEN_DOWN
0 0 1
0 200 2
0 400 3
.PEN_UP
50 50 4
.PEN_DOWN
100 400 5
100 0 6
"""
LABELS = """.VERSION 1.0
.INCLUDE abc/data/one.dat
.SEGMENT CHARACTER 0-2 OK "4"
.SEGMENT CHARACTER 2 ? "1"
.SEGMENT CHARACTER 1 ? "2"
.SEGMENT WORD 0-2 ? "41"
"""


@pytest.fixture
def unipen():
    return fetch.Unipen({"data/1a/abc/one.dat": LABELS, "include/abc/data/one.dat": INCLUDED})


def test_unipen_segments_become_strokes_of_numbered_writers(unipen, tmp_path):
    assert fetch.save_strokes(tmp_path / "digits.npz", unipen.samples("digits")) == 2  # a lifted pen draws nothing
    strokes = Strokes.load(tmp_path / "digits.npz")
    assert strokes.label.tolist() == ["4", "1"] and strokes.writer.tolist() == [0, 0]
    assert strokes.stroke.tolist() == [0, 2, 4, 6]  # without the point on the straight line
    four = strokes.points[:4].astype(int)
    assert four.tolist() == [[0, 255], [0, 0], [128, 0], [128, 255]]  # y points down; twice as high as wide


def test_unipen_numbers_are_words_of_digits():
    file = LABELS + '.SEGMENT WORD 0-2 ? "to"\n'
    files = {"data/7/abc/one.dat": file, "include/abc/data/one.dat": INCLUDED}
    assert [label for label, *_ in fetch.Unipen(files).samples("numbers")] == ["41"]


def test_unipen_ranges_of_components_are_counted():
    assert fetch.components_of("2-3,7") == [2, 3, 7]
    assert fetch.components_of("4:10-5:2") == [4, 5]


def test_a_curve_keeps_the_points_that_make_it():
    turn = np.linspace(0, np.pi, 60)
    arc = 127 * np.stack([np.cos(turn), np.sin(turn)], 1)
    kept = fetch.simplified(arc, 0.7)
    assert 8 < len(kept) < 40 and (kept[0] == arc[0]).all() and (kept[-1] == arc[-1]).all()


def test_each_uji_writer_wrote_two_samples():
    drawn = [[[[0, 0], [10, 20]]], [[[0, 0], [20, 10]]], [[[5, 5], [6, 9]]]]
    found = list(fetch.uji_samples(json.dumps({"rawData": {"7": drawn}}).encode()))
    assert [(label, writer) for label, writer, *_ in found] == [("7", "0"), ("7", "0"), ("7", "1")]


def test_optdigits_files_are_32_lines_and_a_label():
    lines = ["0" * 16 + "1" * 16] * 32
    images, labels = fetch.bitmaps("\n".join(["a header", *lines, " 3", *lines, " 8", ""]).encode())
    assert images.shape == (2, 32, 32) and images.sum() == 2 * 32 * 16 and labels.tolist() == [3, 8]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A repository with two files, and its commit."""
    origin = tmp_path / "origin" / "some" / "data"
    (origin / "set").mkdir(parents=True)
    (origin / "set" / "a.txt").write_bytes(b"one\r\ntwo")
    (origin / "other.txt").write_text("not asked for")
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    fetch.git(origin, "init", "--quiet")
    for name in ("allowFilter", "allowAnySHA1InWant"):  # as GitHub allows it
        fetch.git(origin, "config", f"uploadpack.{name}", "true")
    fetch.git(origin, "add", ".")
    fetch.git(origin, *who, "commit", "--quiet", "-m", "data")
    monkeypatch.setattr(fetch, "HOST", f"file://{tmp_path}/origin/{{0}}")
    return (origin / ".git" / "HEAD").parent, subprocess.check_output(
        ["git", "-C", origin, "rev-parse", "HEAD"], text=True
    ).strip()


def test_the_files_of_a_commit_are_fetched_as_they_are(published):
    assert fetch.checkout("some/data", published[1], "set/") == {"set/a.txt": b"one\r\ntwo"}


def test_another_commit_than_the_pinned_one_is_refused(published):
    with pytest.raises(OSError, match="git fetch failed: .*"):
        fetch.checkout("some/data", "0" * 40, "set/")


def test_a_file_that_changed_under_its_name_is_refused(published):
    """The object of a.txt is overwritten by another content, as by a host that was broken into."""
    repository, commit = published
    blob = subprocess.check_output(["git", "-C", repository, "rev-parse", f"{commit}:set/a.txt"], text=True).strip()
    path = repository / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(zlib.compress(b"blob 3\0six"))
    with pytest.raises(OSError, match="git checkout failed: "):
        fetch.checkout("some/data", commit, "set/")


def test_missing_data_is_said_with_the_command_that_installs_pytorch_too(small_mnist, small_writers, tmp_path):
    fetch.check(small_mnist, small_writers)
    fetch.check(small_mnist, tmp_path, mnist_alone=True)
    sentence = f"{tmp_path}/unipen/digits.npz and 9 other files are missing; fetch all data with: make data"
    with pytest.raises(FileNotFoundError) as error:
        fetch.check(small_mnist, tmp_path)
    assert str(error.value) == sentence


def test_detexify_drawings_that_a_review_rejected_are_left_out():
    drawn = {"symbolId": "latex:upgreek:upalpha", "strokes": [[{"x": 0, "y": 1}, {"x": 0.5, "y": 0}], []]}
    lines = [
        drawn | {"id": str(number), "source": {"importedFrom": source}}
        for number, source in enumerate(["detexify.sql.gz", "detexify.sql.gz", "local"])
    ]
    files = {
        "samples/latex/upgreek/upalpha.jsonl": "\n".join(map(json.dumps, lines)).encode(),
        "reviews/rejected-samples.json": b'{"version": 1, "rejected": {"1": {"reason": "bad-sample"}}}',
    }
    assert list(fetch.detexify_samples(files)) == [("upgreek:upalpha", "-1", "", [[(0, 1), (0.5, 0)]])]


def test_a_sketch_that_is_cut_off_is_left_out(tmp_path):
    drawn = {"word": "cat", "countrycode": "DE", "drawing": [[[0, 10], [0, 20], [0, 5]], [[3], [4], [9]]]}
    content = f"{json.dumps(drawn)}\n{json.dumps(drawn)[:40]}".encode()
    assert fetch.save_strokes(tmp_path / "drawings.npz", fetch.sketches({"cat.ndjson": content})) == 1
    strokes = Strokes.load(tmp_path / "drawings.npz")
    assert strokes.label.tolist() == ["cat"] and strokes.source.tolist() == ["DE"] and strokes.writer.tolist() == [-1]
    assert strokes.stroke.tolist() == [0, 2, 3]


def test_gestures_are_named_without_their_numbers():
    gesture = b'<Gesture Name="check07" Subject="3" Speed="slow">'
    text = gesture + b'<Point X="1" Y="2" T="0"/><Point X="4" Y="6" T="9"/></Gesture>'
    assert list(fetch.gesture_samples({"s03/slow/check07.xml": text})) == [
        ("check", "3", "slow", [[(1.0, 2.0), (4.0, 6.0)]])
    ]


def test_photographs_of_an_archive_are_named_by_kind():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name in ("resized/glass/1.jpg", "resized/readme.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))
    assert fetch.photographs(file.getvalue()) == {"glass/1.jpg": b"abc"}
