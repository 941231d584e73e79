"""The service's predictor without HTTP: milliseconds and images/s of each model and of all together.

Measured is the time in onnxruntime for a batch of 28x28 images, after a warm-up, in the calling thread; it is bound by
the cores (or the GPU) and by their memory. The last line of the output is JSON, with units in its keys.

    python -m benchmarks.offline
"""

import argparse
import json
import platform
import time

import numpy as np
import onnxruntime
from tqdm import tqdm

from service import settings as environment
from service.predictor import Predictor

BATCHES = 1, 8, 32
WARM_UP = 10  # calls before the clock
SEED = 0


def measure(predictor, names, batch, calls):
    """Milliseconds of each of `calls` calls."""
    images = np.random.default_rng(SEED).integers(0, 256, (batch, 1, 28, 28), np.uint8)
    for _ in range(WARM_UP):
        predictor.classify(images, names)
    return [predictor.classify(images, names).inference_ms for _ in range(calls)]


def row(name, batch, milliseconds):
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).round(3).tolist()
    return {
        "model": name,
        "batch": batch,
        "latency_p50_ms": p50,
        "latency_p95_ms": p95,
        "latency_p99_ms": p99,
        "images_per_sec": round(batch / p50 * 1e3),
    }


def hardware():
    """The processor's name, or what the platform says if it does not give one."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100, help="timed calls of each kind; default: 100")
    arguments = parser.parse_args(argv)
    settings = environment.load()
    predictor = Predictor(settings.models, settings.device, settings.threads)
    setting = {
        "device": predictor.device,
        "hardware": hardware(),
        "threads": settings.threads,
        "onnxruntime": onnxruntime.__version__,
        "calls": arguments.calls,
        "warm_up": WARM_UP,
        "seed": SEED,
    }
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    kinds = [(name, [name]) for name in predictor.names] + [("all", predictor.names)]
    cases = [(title, names, batch) for title, names in kinds for batch in BATCHES]
    start = time.perf_counter()
    rows = [row(title, batch, measure(predictor, names, batch, arguments.calls)) for title, names, batch in tqdm(cases)]
    print(f"{'model':<12} {'batch':>5} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'images/s':>9}")
    for r in rows:
        times = f"{r['latency_p50_ms']:>8.2f} {r['latency_p95_ms']:>8.2f} {r['latency_p99_ms']:>8.2f}"
        print(f"{r['model']:<12} {r['batch']:>5} {times} {r['images_per_sec']:>9,}")
    print(json.dumps({"setting": setting, "seconds": round(time.perf_counter() - start, 1), "rows": rows}))


if __name__ == "__main__":
    main()
