"""How fast is training? Images/s of each network beside a plain loop, or with --goal the time to an accuracy.

The plain loop is the usual one: a DataLoader that turns one image at a time into a tensor, 32-bit floats, no
augmentation, and for the Vision Transformer patches cut in Python. Both loops train the same network with the same
batch size. The cores or the GPU are the limit.

The time to 99 % or 99.5 % of MNIST's test images is that of a small CNN with a fixed recipe, by the rules of
https://github.com/tuomaso/train_mnist_fast: all 60,000 training images, the clock runs from the first step to the last,
the data is on the device, and one warm-up run does not count. Each of many seeds looks at the test set once, at its
end. The recipes were not chosen by it; that for 99.5 % was chosen on the validation images.

    python -m benchmarks.training --record
    python -m benchmarks.training --goal 99.5 --record
"""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_pil_image, to_tensor
from tqdm import tqdm

from benchmarks.records import Record, parser, show
from training import networks
from training.data import mnist
from training.loop import Run, autocast, clock, hardware, pick_device
from training.recipe import MNIST_ALONE, cross_entropy
from training.records import table_of
from training.task import Data

WARM_UP = 3  # steps before the clock
BATCH, LR, RISE = 256, 0.01, 0.2  # of the recipes to an accuracy; RISE: share of the steps in which the rate rises
BETAS = 0.7, 0.9


@dataclass(frozen=True)
class Recipe:
    epochs: int
    shift: int  # pixels by which a batch is moved, at most, along each axis
    seeds: int


RECIPES = {"99": Recipe(epochs=1, shift=0, seeds=30), "99.5": Recipe(epochs=4, shift=1, seeds=10)}  # by goal in %


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


def small_cnn() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 24, 5, padding=2, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(48, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(64 * 25, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10)),
    )


def load(device: torch.device) -> list[torch.Tensor]:
    """Training (60,000) and test images (N, 1, 28, 28) float32, about zero mean and unit deviation, and labels."""
    both = zip(mnist.load("train"), mnist.load("validation"), strict=True)
    parts = *map(torch.cat, both), *mnist.load("test")
    images, labels, test_images, test_labels = (part.to(device) for part in parts)
    return [scaled(images), labels, scaled(test_images), test_labels]


def scaled(images: torch.Tensor) -> torch.Tensor:
    return ((mnist.to_unit(images) - 0.1307) / 0.3081).contiguous(memory_format=torch.channels_last)


def train(recipe: Recipe, seed: int, images: torch.Tensor, labels: torch.Tensor) -> tuple[nn.Sequential, float]:
    """Train once. Returns the network and the seconds it took."""
    device = images.device
    torch.manual_seed(seed)
    net = small_cnn().to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=LR, betas=BETAS, fused=True)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LR, recipe.epochs * steps, pct_start=RISE, cycle_momentum=False
    )
    start = clock(device)
    for _ in range(recipe.epochs):
        for batch in torch.randperm(len(images), device=device)[: steps * BATCH].view(steps, BATCH):
            moved = images[batch].roll(torch.randint(-recipe.shift, recipe.shift + 1, (2,)).tolist(), (2, 3))
            with autocast(device):
                loss = F.cross_entropy(net(moved).float(), labels[batch])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
    return net.eval(), clock(device) - start


@torch.no_grad()
def accuracy(net: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> float:
    right = sum(
        (net(i).argmax(1) == t).sum().item() for i, t in zip(images.split(2000), labels.split(2000), strict=True)
    )
    return right / len(images)


def speeds(device: torch.device, names: Sequence[str], steps: int) -> Record:
    """Images/s of both loops for each network."""
    images, labels = (tensor.to(device) for tensor in mnist.load("train"))
    rows = {}
    for name in tqdm(names):
        recipe = replace(
            networks.load(name).RECIPE, weights=None, sources=MNIST_ALONE
        )  # both loops see the same images
        step, augmentation = ours(name, recipe, device, Data(), steps)
        rows[name] = {
            "images_per_sec": round(recipe.batch_size / step, 1),
            "plain_images_per_sec": round(recipe.batch_size / plain(name, recipe, device, images, labels, steps), 1),
            "augmentation_share": round(augmentation / step, 4),
        }
    return {"setting": {"hardware": hardware(device), "torch": str(torch.__version__), "steps": steps}, "rows": rows}


def compared(record: Record) -> str:
    rows = []
    for name, row in record["rows"].items():
        ours, plain = row["images_per_sec"], row["plain_images_per_sec"]
        rows.append(
            [f"`{name}`", f"{ours:,.0f}", f"{plain:,.0f}", f"{ours / plain:.1f}", f"{row['augmentation_share']:.0%}"]
        )
    head = ["network", "images/s", "plain loop", "ratio", "share of drawing and augmentation"]
    setting = record["setting"]
    return f"{table_of(head, rows)}\n{setting['hardware']}, PyTorch {setting['torch']}, {setting['steps']} steps."


def time_to(goal: str, device: torch.device, seeds: int | None) -> Record:
    """Train the small CNN with many seeds to a goal, in % of the test images."""
    images, labels, test_images, test_labels = load(device)
    recipe = RECIPES[goal]
    train(recipe, -1, images, labels)
    runs = []
    for seed in tqdm(range(seeds or recipe.seeds)):
        net, seconds = train(recipe, seed, images, labels)
        runs.append({"seed": seed, "seconds": round(seconds, 4), "accuracy": accuracy(net, test_images, test_labels)})
    accuracies, times = [run["accuracy"] for run in runs], [run["seconds"] for run in runs]
    deviation = statistics.stdev if len(runs) > 1 else lambda _: 0.0
    return {
        "hardware": hardware(device),
        "torch": str(torch.__version__),
        "goal": goal,
        "epochs": recipe.epochs,
        "seconds_mean": round(statistics.mean(times), 4),
        "seconds_deviation": round(deviation(times), 4),
        "accuracy_mean": round(statistics.mean(accuracies), 6),
        "accuracy_deviation": round(deviation(accuracies), 6),
        "reached": sum(100 * a >= float(goal) for a in accuracies),
        "runs": runs,
    }


def reached(record: Record) -> str:
    return (
        f"To {record['goal']} % of the test images: {record['seconds_mean']:.1f} ± {record['seconds_deviation']:.1f} s "
        f"on {record['hardware']}; {record['accuracy_mean']:.2%} ± {record['accuracy_deviation']:.2%} over "
        f"{len(record['runs'])} seeds, of which {record['reached']} reach it."
    )


TABLES = {"speed": compared} | {f"time_to_{goal}": reached for goal in RECIPES}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("names", metavar="NAME", nargs="*", help="networks; default: all")
    options.add_argument("--steps", type=int, default=20, help="timed steps of each kind; default: 20")
    options.add_argument("--goal", choices=RECIPES, help="%% of the test images: the time to it instead")
    options.add_argument("--seeds", type=int, help="with --goal; default: 30 for 99 %%, 10 for 99.5 %%")
    options.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    arguments = options.parse_args(argv)
    try:
        device = pick_device(arguments.device)
        if arguments.goal:
            record = time_to(arguments.goal, device, arguments.seeds)
            show(f"time_to_{arguments.goal}", record, reached, arguments.record)
        else:
            names = arguments.names or networks.voters()
            show("speed", speeds(device, names, arguments.steps), compared, arguments.record)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
