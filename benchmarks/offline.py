"""How fast are the models without HTTP? Milliseconds and images/s of each and of all together, by batch size.

Measured is one batch of 28x28 images from bytes to probabilities, after a warm-up, in the calling thread: by the
service's predictor. The cores (or the GPU) and their memory are the limit. Images are MNIST's test set where it
is, else noise.

    python -m benchmarks.offline
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from tqdm import tqdm

from benchmarks.records import Record, hardware, parser, show
from service import settings as environment
from service.recogniser import Recogniser
from training.records import table_of

Run = Callable[[np.ndarray], object]  # on a batch of images
Row = dict[str, Any]

BATCHES = 1, 8, 32  # the largest that the service makes
WARM_UP = 10  # calls before the clock
SEED = 0


def pictures() -> np.ndarray:
    """Images (N, 1, 28, 28) uint8."""
    try:
        from training.data import mnist

        return mnist.load("test")[0].numpy()
    except (ImportError, FileNotFoundError):
        return np.random.default_rng(SEED).integers(0, 256, (128, 1, 28, 28), np.uint8)


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


def row(model: str, batch: int, milliseconds: Sequence[float]) -> Row:
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).round(3).tolist()
    return {
        "model": model,
        "batch": batch,
        "latency_p50_ms": p50,
        "latency_p95_ms": p95,
        "latency_p99_ms": p99,
        "images_per_sec": round(batch / p50 * 1e3),
    }


def table(record: Record) -> str:
    """Images/s of each model by batch size, and milliseconds of one image."""
    setting, lines = record["setting"], []
    rows = {(row["model"], row["batch"]): row for row in record["rows"]}
    batches = [batch for batch in BATCHES if batch > 1]
    for model in dict.fromkeys(model for model, _ in rows):
        figures = [f"{rows[model, 1]['latency_p50_ms']:.1f} ms"]
        figures += [f"{rows[model, batch]['images_per_sec']:,}" for batch in batches]
        lines.append([f"`{model}`" if model != "all" else model, *figures])
    speeds = table_of(["model", "one image", *(f"images/s, batch {batch}" for batch in batches)], lines)
    where = (
        f"Medians of {setting['calls']} calls on {setting['device']}, {setting['threads']} threads of "
        f"{setting['hardware']}, onnxruntime {setting['onnxruntime']}."
    )
    return f"{speeds}\n{where}"


TABLES = {"offline": table}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--calls", type=int, default=100, help="timed calls of each kind; default: 100")
    arguments = options.parse_args(argv)
    settings = environment.load()
    predictor = Recogniser(settings=settings).predictor
    images = pictures()
    setting = {
        "device": predictor.device,
        "hardware": hardware(),
        "threads": settings.threads,
        "onnxruntime": onnxruntime.__version__,
        "calls": arguments.calls,
        "warm_up": WARM_UP,
        "images": len(images),
    }
    kinds = {name: [name] for name in predictor.names} | {"all": predictor.names}
    cases = [(title, batch) for title in kinds for batch in BATCHES]
    rows = []
    for title, batch in tqdm(cases):
        run = partial(predictor.classify, names=kinds[title])
        rows.append(row(title, batch, measure(run, images, batch, arguments.calls)))
    show("offline", {"setting": setting, "rows": rows}, table, arguments.record)


if __name__ == "__main__":
    main()
