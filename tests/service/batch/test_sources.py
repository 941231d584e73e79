"""The images that a source stands for, and the errors of images that cannot be read."""

import gzip
import os
import tarfile
from urllib.parse import unquote_to_bytes

import pytest

from service.batch.sources import find
from service.batch.unpack import quoted
from tests.service.batch.archives import LIMIT, images, pack


def test_folders_files_and_patterns_name_each_image_once(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    paths = [tmp_path / "a.png", tmp_path / "deep" / "b.JPG", tmp_path / "deep" / "er" / "c.tif"]
    for path in (*paths, tmp_path / "notes.txt"):
        path.write_bytes(b"x")
    found = images(tmp_path, paths[0], tmp_path / "**" / "*.tif")
    assert [image.path for image in found] == sorted(map(str, paths))
    assert [image.path for image in images(tmp_path / "notes.txt")] == [str(tmp_path / "notes.txt")]


@pytest.mark.parametrize("source", ["nothing/?.png", ".", "x" * 5_000])
def test_a_source_without_images_is_named(tmp_path, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as refused:
        find([source], reader=None)
    assert str(refused.value) == f"{source!r} is neither a file nor a folder or pattern that contains images."


@pytest.mark.parametrize(
    "name, shown",
    [
        ("a/b c é 数 7.png", "a/b c é 数 7.png"),
        ("50%#2.png", "50%25%232.png"),
        ("\x1b[31m\n\u202e.png", "%1B[31m%0A%E2%80%AE.png"),
        (os.fsdecode(b"\xff\xc3.png"), "%FF%C3.png"),
    ],
)
def test_a_name_is_shown_safely_and_can_be_had_back(name, shown):
    assert quoted(name) == shown
    assert unquote_to_bytes(shown) == os.fsencode(name)


def test_archives_are_read_member_by_member(tmp_path):
    path = tmp_path / "scans.tar"
    pack(path, ("1.png", b"one"), ("1.cls", b"1"), ("1.png", b"two"), ("big.png", bytes(LIMIT + 1)))
    found = images(path)
    assert [(image.path, image.data) for image in found] == [
        (f"{path}/1.png", b"one"),
        (f"{path}/1.png#2", b"two"),  # an archive may hold a name twice
        (f"{path}/big.png", None),
    ]
    assert found[2].error == "The image has 101 bytes; the limit is 100."


def test_members_of_similar_names_keep_them(tmp_path):
    """Bug: these were one path, so the images of all but one were lost."""
    path = tmp_path / "scans.tar"
    names = ["a.png", "./a.png", "../a.png", "/a.png", ".a.png", "a#2.png", "a%23.png", "b/../a.png"]
    pack(path, *((name, name.encode()) for name in names))
    found = images(path)
    assert [image.data.decode() for image in found] == names
    assert [unquote_to_bytes(image.path).decode() for image in found] == [f"{path}/{name}" for name in names]
    assert len({image.path for image in found}) == len(names)


def test_members_that_are_no_files_have_an_error(tmp_path):
    path = tmp_path / "scans.tar"
    kinds = {"soft": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "folder": tarfile.DIRTYPE}
    pack(path, ("a.png", b"one"), *((f"{name}.png", kind) for name, kind in kinds.items()))
    link = "The member is a link to a.png; links in archives are not followed."
    errors = {"a.png": None, "soft.png": link, "hard.png": link, "pipe.png": "The member is not a file."}
    assert {image.path.removeprefix(f"{path}/"): image.error for image in images(path)} == errors


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("cut", [512, 1_024, 1_100, 1_560, 2_048])
def test_an_archive_cut_anywhere_or_overwritten_gets_a_row_with_an_error(tmp_path, cut, mode):
    """Bug: tarfile stops without an error there, so the images behind it were lost silently."""
    whole, path = tmp_path / "whole.tar", tmp_path / "scans.tar"
    pack(whole, ("1.png", b"one"), ("2.png", bytes(90)), ("3.png", bytes(90)))
    assert [image.error for image in images(whole)] == [None] * 3
    content = whole.read_bytes()[:cut] + (b"x" * 512 if cut == 1_024 else b"")
    path.write_bytes(gzip.compress(content) if mode == "w:gz" else content)
    found = images(path)
    assert [image.path for image in found if image.data] == [f"{path}/{n + 1}.png" for n in range(cut // 1_024)]
    assert (found[-1].path, found[-1].data) == (str(path), None)
    assert found[-1].error.startswith(f"Reading stopped after {cut // 1_024} image")


def test_what_follows_the_end_of_an_archive_is_not_lost_silently(tmp_path):
    """Bug: of `cat a.tar b.tar`, the images of b.tar were lost."""
    path = tmp_path / "scans.tar"
    pack(path, ("1.png", b"one"))
    path.write_bytes(path.read_bytes() * 2)
    first, last = images(path)
    assert (first.data, last.path) == (b"one", str(path))
    assert last.error == "Reading stopped after 1 image: something follows its end marker."


@pytest.fixture
def write_table(tmp_path):
    """Writes a Parquet table of one column and returns its path."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: extra `batch`")
    from pyarrow import parquet

    def write(column, **options):
        path = tmp_path / "t.parquet"
        parquet.write_table(pyarrow.table({"label": range(len(column)), "image": column}), path, **options)
        return path

    return write


@pytest.mark.parametrize("nested", [True, False], ids=["struct", "bytes"])
def test_tables_are_read_by_row(write_table, nested):
    contents = [b"a", None, b"c"]
    path = write_table([{"bytes": one, "path": "x"} for one in contents] if nested else contents, row_group_size=2)
    found = images(path)
    assert [(image.path, image.data) for image in found] == [
        (f"{path}/{row}", content) for row, content in enumerate(contents)
    ]
    assert found[1].error == "The row has no image."


def test_a_damaged_row_group_costs_its_rows_alone(write_table):
    path = write_table([bytes([65 + row]) * 90 for row in range(6)], row_group_size=2, compression="none")
    content = bytearray(path.read_bytes())
    where = content.index(b"C" * 90)
    content[where - 40 : where + 60] = b"\xff" * 100
    path.write_bytes(content)
    found = images(path)
    assert [image.path.removeprefix(f"{path}/") for image in found] == ["0", "1", "group-1", "4", "5"]
    assert found[2].error.startswith("Reading stopped after 0 images: ")


def test_a_table_without_images_or_footer_gets_a_row_with_an_error(write_table):
    path = write_table([1, 2, 3])
    (found,) = images(path)
    assert found.path == str(path)
    assert found.error == "Reading stopped after 0 images: no column holds bytes; the columns are: label, image."
    path.write_bytes(path.read_bytes()[:-9])
    (found,) = images(path)
    assert (found.path, found.data) == (str(path), None)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(bytes(LIMIT + 1))
    (image,) = images(path)
    assert (image.data, image.error) == (None, "The image has 101 bytes; the limit is 100.")
