"""The models without HTTP: milliseconds and images/s of each and of all together, in each engine that is here.

Measured is one batch of 28x28 images from bytes to probabilities, after a warm-up, in the calling thread: by the
service's predictor on onnxruntime, and with --torch by the same network in PyTorch, eager and compiled (with random
weights, which cost the same). It is bound by the cores (or the GPU) and by their memory. Images are MNIST's test set
where it is, so that accuracy can be said, else noise. The last line of the output is JSON, with units in its keys.

    python -m benchmarks.offline
    python -m benchmarks.offline --torch --plot offline.png
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tqdm import tqdm

from service import settings as environment
from service.inference.predictor import Predictor

Run = Callable[[np.ndarray], object]  # a batch of images to whatever an engine answers
Row = dict[str, Any]

BATCHES = 1, 8, 32, 128
COMPILED = 1, 32  # batches that PyTorch compiles, half a minute each
WARM_UP = 10  # calls before the clock
SEED = 0
ENGINES = "onnxruntime", "eager", "compiled"


def pictures() -> tuple[np.ndarray, np.ndarray | None]:
    """Images (N, 1, 28, 28) uint8 and their labels (N,), None for noise."""
    try:
        from training.data import mnist

        images, labels = mnist.load("test")
        return images.numpy(), labels.numpy()
    except (ImportError, FileNotFoundError):
        return np.random.default_rng(SEED).integers(0, 256, (128, 1, 28, 28), np.uint8), None


def measure(run: Run, images: np.ndarray, batch: int, calls: int) -> list[float]:
    """Milliseconds of each of `calls` calls of run(batch of images)."""
    parts = [np.ascontiguousarray(np.roll(images, -batch * i, 0)[:batch]) for i in range(min(calls, 16))]
    for i in range(WARM_UP):
        run(parts[i % len(parts)])
    milliseconds = []
    for i in range(calls):
        start = time.perf_counter()
        run(parts[i % len(parts)])
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return milliseconds


def row(engine: str, model: str, batch: int, milliseconds: Sequence[float]) -> Row:
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).round(3).tolist()
    return {
        "engine": engine,
        "model": model,
        "batch": batch,
        "latency_p50_ms": p50,
        "latency_p95_ms": p95,
        "latency_p99_ms": p99,
        "images_per_sec": round(batch / p50 * 1e3),
    }


def in_torch(name: str, threads: int, device: str, compiled: bool) -> Run:
    """The network `name` in PyTorch, from images (N, 1, 28, 28) uint8 to probabilities."""
    import torch

    from training import networks
    from training.digits import graph_of
    from training.release.graph import fold_norms

    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    network = networks.load(name).Network().eval()
    fold_norms(network)
    graph = graph_of(network, 1.0).to(device)
    if compiled:
        torch._dynamo.reset()  # else it compiles the second batch for any size, and a later network not at all
        graph = torch.compile(graph, dynamic=False)

    def run(images: np.ndarray) -> object:
        with torch.inference_mode():
            result = graph(torch.from_numpy(images).to(device))
        return [part.cpu() for part in result] if isinstance(result, tuple) else result.cpu()

    return run


def accuracy(predictor: Predictor, names: list[str], images: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images whose verdict is right."""
    parts = range(0, len(images), BATCHES[-1])
    verdicts = [v for start in parts for v in predictor.classify(images[start : start + BATCHES[-1]], names).verdicts]
    return float(np.mean([verdict.digit for verdict in verdicts] == labels))


def hardware() -> str:
    """The processor's name, or what the platform says if it does not give one."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(rows: Sequence[Row]) -> str:
    lines = [f"{'engine':<12} {'model':<12} {'batch':>5} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'images/s':>9}"]
    for r in rows:
        times = f"{r['latency_p50_ms']:>8.2f} {r['latency_p95_ms']:>8.2f} {r['latency_p99_ms']:>8.2f}"
        lines.append(f"{r['engine']:<12} {r['model']:<12} {r['batch']:>5} {times} {r['images_per_sec']:>9,}")
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Images/s by batch size, a line for each model; engines side by side."""
    from matplotlib import pyplot as plt

    engines = [engine for engine in ENGINES if any(r["engine"] == engine for r in rows)]
    figure, axes = plt.subplots(1, len(engines), figsize=(4.5 * len(engines), 4), sharey=True, squeeze=False)
    for axis, engine in zip(axes[0], engines, strict=True):
        for model in dict.fromkeys(r["model"] for r in rows):
            line = [(r["batch"], r["images_per_sec"]) for r in rows if (r["engine"], r["model"]) == (engine, model)]
            if line:
                axis.plot(*zip(*line, strict=True), "o-", label=model)
        axis.set(title=engine, xscale="log", yscale="log", xlabel="images in a batch", ylabel="images/s")
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=100, help="timed calls of each kind; default: 100")
    parser.add_argument("--torch", action="store_true", help="also PyTorch, eager and compiled")
    parser.add_argument("--plot", type=Path, help="a picture of images/s")
    arguments = parser.parse_args(argv)
    settings = environment.load()
    predictor = Predictor(settings.models, settings.device, settings.threads)
    images, labels = pictures()
    setting = {
        "device": predictor.device,
        "hardware": hardware(),
        "threads": settings.threads,
        "onnxruntime": onnxruntime.__version__,
        "calls": arguments.calls,
        "warm_up": WARM_UP,
        "images": "noise" if labels is None else f"MNIST test set, n = {len(labels)}",
    }
    kinds = {name: [name] for name in predictor.names} | {"all": predictor.names}
    cases = [("onnxruntime", title, batch) for title in kinds for batch in BATCHES]
    if arguments.torch:
        import torch

        setting["torch"] = str(torch.__version__)
        cases += [("eager", name, batch) for name in predictor.names for batch in BATCHES]
        cases += [("compiled", name, batch) for name in predictor.names for batch in COMPILED]
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    start, rows = time.perf_counter(), []
    for engine, title, batch in tqdm(cases):
        if engine == "onnxruntime":
            run = partial(predictor.classify, names=kinds[title])
        else:
            run = in_torch(title, settings.threads, predictor.device, engine == "compiled")
        rows.append(row(engine, title, batch, measure(run, images, batch, arguments.calls)))
    print(table(rows))
    found = {title: accuracy(predictor, names, images, labels) for title, names in kinds.items() if labels is not None}
    for title, share in found.items():
        print(f"{title:<12} {share:.2%} right")
    if arguments.plot:
        plot(rows, arguments.plot)
    seconds = round(time.perf_counter() - start, 1)
    print(json.dumps({"setting": setting, "seconds": seconds, "accuracy": found, "rows": rows}))


if __name__ == "__main__":
    main()
