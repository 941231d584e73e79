"""Measure training speed: images/s of our loop and of a plain loop, and augmentation's share of our step.

The plain loop is usual code: a DataLoader that turns one image at a time into a tensor, 32-bit floats, no augmentation,
and for the Vision Transformer patches cut in Python. Both loops train the same network with the same batch size. The
cores or the GPU limit them. The last line of the output is JSON for training.report:

    python -m benchmarks.training | tee /dev/stderr | tail -n 1 > results/speed.json
"""

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_pil_image, to_tensor
from tqdm import tqdm

from training import networks
from training.data import mnist
from training.loop.devices import clock, hardware, pick_device
from training.loop.run import Run
from training.recipe import MNIST_ALONE, cross_entropy
from training.task import Data

WARM_UP = 3  # steps before the clock


class OneByOne(Dataset):
    """MNIST in the usual way: one PIL image at a time, through ToTensor."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return to_tensor(to_pil_image(self.images[index])), int(self.labels[index])


def ours(name: str, recipe: Any, device: torch.device, data: Data, steps: int) -> tuple[float, float]:
    """Seconds of one step of `training.train`, and of its drawing and augmentation."""
    run = Run(name, networks.task(name, recipe, device, data), 0)
    run.network.train()
    for _ in range(WARM_UP):
        run.train_step()
    start = clock(device)
    for _ in range(steps):
        run.train_step()
    step = (clock(device) - start) / steps
    start = clock(device)
    for number in range(steps):
        run.task.batch(0, 0, number)
    return step, (clock(device) - start) / steps


def plain(
    name: str, recipe: Any, device: torch.device, images: torch.Tensor, labels: torch.Tensor, steps: int
) -> float:
    """Seconds of one step of the plain loop."""
    size = recipe.batch_size
    count = (steps + WARM_UP) * size
    network = networks.load(name).Network().to(device)
    if name == "vit":
        network.patches = PatchesInPython(network.class_token.shape[2]).to(device)
    optimizer = torch.optim.Adam(network.parameters())
    loader = DataLoader(OneByOne(images[:count].cpu(), labels[:count].cpu()), size, shuffle=True)
    start = 0.0
    for step, (batch, truth) in enumerate(loader):
        if step == WARM_UP:
            start = clock(device)
        optimizer.zero_grad()
        images, targets = batch.to(device), truth.to(device)
        if hasattr(network, "compose"):
            torch.stack([network.loss(*part) for part in network.compose(images, targets)]).sum().backward()
        else:
            cross_entropy(network(images), targets).backward()
        optimizer.step()
    return (clock(device) - start) / steps


class PatchesInPython(torch.nn.Module):
    """Cut 4x4 patches one by one, image by image, and apply a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(16, width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        n, _, height, width = images.shape
        patches = torch.zeros(n, (height // 4) * (width // 4), 16, device=images.device)
        for i in range(n):
            for row in range(height // 4):
                for column in range(width // 4):
                    patch = images[i, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                    patches[i, row * (width // 4) + column] = patch.flatten()
        return F.relu(self.linear(patches)).transpose(1, 2)[..., None]  # (N, WIDTH, 49, 1), like a convolution's


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="default: all")
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each kind; default: 20")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--data", help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    arguments = parser.parse_args(argv)
    try:
        device = pick_device(arguments.device)
        images, labels = (tensor.to(device) for tensor in mnist.load("train", arguments.data))
        recipes = {name: networks.load(name).RECIPE for name in arguments.names or networks.voters()}
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    setting = {"hardware": hardware(device), "torch": str(torch.__version__), "steps": arguments.steps}
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    print(f"{'network':<12} {'images/s':>9} {'plain':>9} {'ratio':>6} {'augmentation':>13}")
    rows = {}
    for name, recipe in tqdm(recipes.items()):
        recipe = replace(recipe, weights=None, sources=MNIST_ALONE)  # both loops see the same images
        step, augmentation = ours(name, recipe, device, Data(root=arguments.data), arguments.steps)
        slow = plain(name, recipe, device, images, labels, arguments.steps)
        rows[name] = {
            "images_per_sec": round(recipe.batch_size / step, 1),
            "plain_images_per_sec": round(recipe.batch_size / slow, 1),
            "augmentation_share": round(augmentation / step, 4),
        }
        speeds = f"{recipe.batch_size / step:>9,.0f} {recipe.batch_size / slow:>9,.0f} {slow / step:>6.2f}"
        print(f"{name:<12} {speeds} {augmentation / step:>13.1%}")
    print(json.dumps({"setting": setting, "rows": rows}))


if __name__ == "__main__":
    main()
