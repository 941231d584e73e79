import gzip

import pytest
import torch

from training.data import mnist
from training.data.writers import SPLITS


def test_every_twelfth_training_image_validates(small_mnist):
    train, labels = mnist.load("train", small_mnist)
    validation, _ = mnist.load("validation", small_mnist)
    test, _ = mnist.load("test", small_mnist)
    assert (train.shape, validation.shape, test.shape) == ((550, 1, 28, 28), (50, 1, 28, 28), (100, 1, 28, 28))
    assert train.dtype == torch.uint8 and labels.dtype == torch.int64


def test_no_image_is_in_two_splits(mnist_root):
    seen = [{image.numpy().tobytes() for image in mnist.load(split, mnist_root)[0]} for split in SPLITS]
    assert [len(split) for split in seen] == [55_000, 5_000, 10_000]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def test_unknown_split_is_refused(small_mnist):
    with pytest.raises(ValueError, match="Unknown split 'dev'; known splits: train, validation, test."):
        mnist.load("dev", small_mnist)


def test_root_comes_from_the_environment(small_mnist, monkeypatch):
    monkeypatch.setenv("MNIST_ROOT", str(small_mnist))
    assert len(mnist.load("test")[0]) == 100


def test_uncompressed_files_are_read_too(small_mnist, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (small_mnist / "MNIST" / "raw").iterdir():
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    assert torch.equal(mnist.load("test", tmp_path)[0], mnist.load("test", small_mnist)[0])


def test_data_that_cannot_be_downloaded_gives_one_sentence(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise RuntimeError("no network")

    monkeypatch.setattr(mnist, "MNIST", no_network)
    with pytest.raises(FileNotFoundError, match="the download failed; set MNIST_ROOT"):
        mnist.load("test", tmp_path)
