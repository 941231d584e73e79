"""The initial weights of a network, from a file or from ImageNet."""

import pytest
import torch

from training import networks
from training.recipe import initialise


def imagenet(folder):
    """A file of AlexNet's pretrained convolutions: all weights one half."""
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    state = {f"features.{layer}.weight": torch.full(shape, 0.5) for layer, shape in shapes.items()}
    state |= {f"features.{layer}.bias": torch.full(shape[:1], 0.5) for layer, shape in shapes.items()}
    path = folder / "alexnet_imagenet_features.pt"
    torch.save(state, path)
    return path


def test_fine_tuning_starts_from_the_weights_of_a_file(tmp_path):
    network = networks.load("alexnet").Network()
    assert initialise(network, "alexnet", str(imagenet(tmp_path))) == "alexnet_imagenet_features"
    convolutions = [m for m in network.features if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 5 and all((m.weight == 0.5).all() and (m.bias == 0.5).all() for m in convolutions)


def test_imagenet_weights_are_read_from_imagenet_root_if_they_are_there(tmp_path, monkeypatch):
    imagenet(tmp_path)
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    network = networks.load("alexnet").Network()
    assert initialise(network, "alexnet", "imagenet") == "ImageNet"
    assert (network.features[0].weight == 0.5).all()


def test_weights_that_cannot_be_downloaded_give_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(FileNotFoundError, match="put alexnet_imagenet_features.pt into IMAGENET_ROOT"):
        networks.load("alexnet").Network().load_weights("imagenet")
