"""The images that a source stands for, and the errors of images that cannot be read."""

import gzip
import io
import tarfile

import pytest

from service.batch.sources import NoSource, find

LIMIT = 100


def images(*sources):
    return [image for piece in find(map(str, sources)) for image in piece.images(LIMIT)]


def pack(path, *members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_folders_files_and_patterns_name_each_image_once(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    paths = [tmp_path / "a.png", tmp_path / "deep" / "b.JPG", tmp_path / "deep" / "er" / "c.tif"]
    for path in (*paths, tmp_path / "notes.txt"):
        path.write_bytes(b"x")
    found = images(tmp_path, paths[0], tmp_path / "**" / "*.tif")
    assert [image.path for image in found] == sorted(map(str, paths))
    assert [image.path for image in images(tmp_path / "notes.txt")] == [str(tmp_path / "notes.txt")]


@pytest.mark.parametrize("source", ["nothing", "nothing/?.png", "."])
def test_a_source_without_images_is_named(tmp_path, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoSource) as refused:
        find([source])
    assert str(refused.value) == f"{source!r} is neither a file nor a folder or pattern that contains images."


def test_archives_are_read_member_by_member(tmp_path):
    path = tmp_path / "scans.tar"
    pack(path, ("./1.png", b"one"), ("1.cls", b"1"), ("./1.png", b"two"), ("big.png", bytes(101)))
    found = images(path)
    assert [(image.path, image.data) for image in found] == [
        (f"{path}/1.png", b"one"),
        (f"{path}/1.png#2", b"two"),  # an archive may hold a name twice
        (f"{path}/big.png", None),
    ]
    assert found[2].error == "The image has 101 bytes; the limit is 100."


def test_a_damaged_archive_gets_a_row_with_an_error(tmp_path):
    path = tmp_path / "scans.tar"
    pack(path, ("1.png", b"one"), ("2.png", bytes(90)))
    path.write_bytes(path.read_bytes()[:1_560])  # within the second image
    first, last = images(path)
    assert (first.path, last.path, last.data) == (f"{path}/1.png", str(path), None)
    assert last.error.startswith("The archive is damaged after ")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("cut", [512, 1_024, 1_100, 2_048])
def test_an_archive_cut_at_or_within_a_header_gets_a_row_with_an_error(tmp_path, cut, mode):
    """Bug: tarfile stops without an error there, so the images behind it were lost silently."""
    whole, path = tmp_path / "whole.tar", tmp_path / "scans.tar"
    pack(whole, ("1.png", b"one"), ("2.png", bytes(90)), ("3.png", bytes(90)))
    content = whole.read_bytes()[:cut]
    path.write_bytes(gzip.compress(content) if mode == "w:gz" else content)
    found = images(path)
    assert [image.path for image in found if image.data] == [f"{path}/{n + 1}.png" for n in range(cut // 1_024)]
    assert (found[-1].path, found[-1].data) == (str(path), None)
    assert found[-1].error.startswith(f"The archive is damaged after {max(1, cut // 1_024)} image")


def test_an_archive_with_an_overwritten_header_gets_a_row_with_an_error(tmp_path):
    path = tmp_path / "scans.tar"
    pack(path, ("1.png", b"one"), ("2.png", bytes(90)))
    content = bytearray(path.read_bytes())
    content[1_024:1_124] = b"x" * 100
    path.write_bytes(content)
    assert [(image.path, image.data) for image in images(path)] == [(f"{path}/1.png", b"one"), (str(path), None)]


@pytest.mark.parametrize("count", [1, 25, 200])
def test_an_undamaged_archive_gets_no_error(tmp_path, count):
    path = tmp_path / "scans.tar"
    pack(path, *((f"{number}.png", bytes(number % 80)) for number in range(count)))
    assert [image.error for image in images(path)] == [None] * count


@pytest.mark.parametrize("nested", [True, False], ids=["struct", "bytes"])
def test_tables_are_read_by_row(tmp_path, nested):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: extra `batch`")
    from pyarrow import parquet

    path, contents = tmp_path / "t.parquet", [b"a", None, b"c"]
    column = [{"bytes": content, "path": "x"} for content in contents] if nested else contents
    parquet.write_table(pyarrow.table({"label": [1, 2, 3], "image": column}), path, row_group_size=2)
    found = images(path)
    assert [(image.path, image.data) for image in found] == [
        (f"{path}/{row}", content) for row, content in enumerate(contents)
    ]
    assert found[1].error == "The row has no image."


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(bytes(101))
    (image,) = images(path)
    assert (image.data, image.error) == (None, "The image has 101 bytes; the limit is 100.")
