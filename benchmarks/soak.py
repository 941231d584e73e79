"""Send a mixture of requests for minutes, and record the service's memory, file descriptors and threads.

Of all requests, two fifths go to /predict, a fifth is split between /predict/batch and /classify, a fifth goes to
/read, and a fifth is bad input of four kinds. `python -m benchmarks.http --minutes 30` runs it.
"""

import json
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from tqdm import tqdm

from benchmarks import load

EXAMPLES = Path(__file__).parent.parent / "examples"
SAMPLE = 5.0  # seconds between two samples of the processes
SETTLED = 300.0  # seconds after which nothing should grow
CONNECTIONS = 16
WEIGHTS = {"/predict": 8, "/predict/batch": 2, "/classify": 2, "/read": 4, "bad": 4}
ORDER = 1_000  # requests before the mixture repeats itself
BINARY = "application/octet-stream"


def messages(host: str) -> list[bytes]:
    """The requests of the mixture, in the fixed order in which each connection sends them."""
    pictures = [path.read_bytes() for path in sorted(EXAMPLES.iterdir()) if path.suffix in (".png", ".jpg")]
    arrays = json.dumps({"images": np.full((4, 28, 28), 128, int).tolist()}).encode()
    kinds = {
        "/predict": [load.request("/predict?explain=true", picture, BINARY, host) for picture in pictures],
        "/predict/batch": [load.request("/predict/batch", *_form(pictures[:4]), host)],
        "/classify": [load.request("/classify", arrays, "application/json", host)],
        "/read": [load.request("/read", picture, BINARY, host) for picture in pictures],
        "bad": [
            load.request("/predict", b"no image", BINARY, host),
            load.request("/predict", pictures[0][: len(pictures[0]) // 2], BINARY, host),
            load.request("/read?models=resnet", pictures[0], BINARY, host),
            load.request("/predict", _blank(), "text/plain", host),
        ],
    }
    chance = random.Random(0)
    chosen = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=ORDER)
    return [chance.choice(kinds[kind]) for kind in chosen]


def _form(files: list[bytes]) -> tuple[bytes, str]:
    """A multipart body with these files as `images`, and its content type."""
    parts = [b'--b\r\nContent-Disposition: form-data; name="images"; filename="x"\r\n\r\n' + file for file in files]
    return b"\r\n".join([*parts, b"--b--", b""]), "multipart/form-data; boundary=b"


def _blank() -> bytes:
    file = BytesIO()
    Image.new("L", (28, 28), 255).save(file, "PNG")
    return file.getvalue()


def soak(host: str, port: int, process: psutil.Process, minutes: float) -> dict[str, Any]:
    """The answers, and the memory in MB, file descriptors and threads of a server and its children over time."""
    samples: list[dict[str, float]] = []
    mixture, seconds = messages(host), 60 * minutes
    with ThreadPoolExecutor(1) as pool, tqdm(total=round(seconds), unit="s") as bar:
        running = pool.submit(load.measure, host, port, mixture, CONNECTIONS, seconds, 0.0)
        while not running.done():
            samples.append(_resources(process))
            time.sleep(SAMPLE)
            bar.update(SAMPLE)
        found = running.result()
    return {"minutes": minutes} | summary(samples, found["statuses"])


def summary(samples: list[dict[str, float]], statuses: dict[int | str, int]) -> dict[str, Any]:
    """The figures of a soak, from its samples (one per SAMPLE seconds) and its counts of statuses."""
    counts = Counter(statuses)
    settled = samples[min(round(SETTLED / SAMPLE), len(samples) - 1) :]
    result: dict[str, Any] = {
        "answers": sum(count for status, count in counts.items() if isinstance(status, int)),
        "errors": sum(count for status, count in counts.items() if isinstance(status, str) or status >= 500),
        "statuses": {str(status): count for status, count in counts.items()},
    }
    for name in samples[0]:
        values = [sample[name] for sample in settled]
        half = max(1, len(values) // 6)
        result[name] = {
            "settled": round(float(np.median(values[:half])), 1),
            "last": round(float(np.median(values[-half:])), 1),
            "highest": round(max(values), 1),
        }
    result["memory_mb"]["samples"] = [round(sample["memory_mb"]) for sample in samples[:: max(1, len(samples) // 60)]]
    return result


def _resources(process: psutil.Process) -> dict[str, float]:
    family = [process, *process.children(recursive=True)]
    return {
        "memory_mb": sum(member.memory_info().rss for member in family) / 1e6,
        "file_descriptors": sum(member.num_fds() for member in family),
        "threads": sum(member.num_threads() for member in family),
    }


def report(result: dict[str, Any]) -> str:
    lines = [f"{result['answers']:,} answers in {result['minutes']:g} minutes, {result['errors']} errors"]
    for name, title in (("memory_mb", "memory, MB"), ("file_descriptors", "file descriptors"), ("threads", "threads")):
        value = result[name]
        lines.append(
            f"{title}: {value['settled']:g} after {SETTLED / 60:g} minutes, {value['last']:g} at the end, "
            f"{value['highest']:g} at most between them"
        )
    return "\n".join(lines)
