"""What does a machine with an NVIDIA GPU tell about this project? One command, one JSON file to send back.

Measured are, in this order: where each node really runs and how many kernels a run starts; the probabilities of all
models beside the CPU's on 10,000 images; milliseconds and images/s of each model, with and without CUDA graphs, at
every batch that is served; the memory; then the service by HTTP, with `benchmarks.http`. A part that fails is recorded
with its reason, and the others go on.

    uv pip install -r requirements/cuda.txt -r requirements/dev.txt
    python -m benchmarks.gpu                       # about 10 minutes; writes gpu.json
    python -m benchmarks.gpu --device cpu --images 64 --calls 3 --without http   # tries the command without a GPU
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.offline import measure, pictures, row
from benchmarks.records import hardware
from service import settings as environment
from service.inference import device as devices
from service.inference.artefact import Artefact, open_artefact
from service.inference.consensus import load_consensus
from service.inference.cuda import FixedShapes

OUT = Path("gpu.json")
WORKERS = 1, 4
TOLERANCE = 1e-3  # of probabilities, between the GPU's floats and the CPU's


@dataclass(frozen=True, kw_only=True)
class Setup:
    device: str
    artefacts: Mapping[str, Artefact]  # on `device`
    images: np.ndarray  # (N, 1, 28, 28) uint8
    calls: int  # timed calls of each kind


def machine(setup: Setup) -> dict[str, Any]:
    """The GPUs, the driver's CUDA and the versions."""
    return {
        "device": setup.device,
        "gpus": [vars(gpu) for gpu in devices.gpus()] if setup.device == "cuda" else [],
        "cpu": hardware(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "cuda": onnxruntime.cuda_version,
    }


def placement(setup: Setup) -> dict[str, Any]:
    """By model and shape, from onnxruntime's profiler: how many nodes ran on each provider, and the kernels started."""
    found = {}
    for artefact in setup.artefacts.values():
        for shape in [(size, 28, 28) for size in devices.SIZES]:
            found[f"{artefact.name} {shape}"] = _nodes(artefact, setup.device, shape)
    return found


def _nodes(artefact: Artefact, device: str, shape: tuple[int, int, int]) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        session = devices.open_session(
            artefact.content, device, 1, floats=device == "cuda", shape=shape, profile=Path(folder) / "run"
        )
        session.run(list(artefact.outputs), {"images": np.zeros((shape[0], 1, *shape[1:]), np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    providers = Counter(event["args"]["provider"] for event in nodes)
    kernels = sum(event.get("cat") == "Kernel" for event in events)  # CUPTI's, where this onnxruntime has it
    return dict(providers) | ({"kernels": kernels} if kernels else {})


def parity(setup: Setup) -> dict[str, Any]:
    """By model: the largest and mean difference of probabilities to the CPU in floats, and how many digits differ."""
    fixed, found = _fixed(setup), {}
    for name, artefact in setup.artefacts.items():
        on_cpu = devices.open_session(artefact.content, "cpu", len(os.sched_getaffinity(0)), floats=True)
        served = devices.open_session(artefact.content, "cpu", len(os.sched_getaffinity(0)))
        said = [fixed.classify(part, [name])[name][0] for part in devices.parts(setup.images)]
        here = np.concatenate([outputs["probabilities"] for outputs in said])
        expected, eight = (_probabilities(session, setup.images) for session in (on_cpu, served))
        difference = np.abs(here - expected).max(1)
        found[name] = {
            "images": len(here),
            "largest_difference": float(difference.max()),
            "images_above_tolerance": int((difference > TOLERANCE).sum()),
            "other_digits": int((here.argmax(1) != expected.argmax(1)).sum()),
            "other_digits_than_served_on_cpu": int((here.argmax(1) != eight.argmax(1)).sum()),
        }
    return found


def _probabilities(session: onnxruntime.InferenceSession, images: np.ndarray) -> np.ndarray:
    said = [session.run(["probabilities"], {"images": part})[0] for part in devices.parts(images)]
    return np.concatenate([np.asarray(one) for one in said])


def speed(setup: Setup) -> list[dict[str, Any]]:
    """Rows as `benchmarks.offline` has them: each model and all, at each batch, free, fixed, and with CUDA graphs."""
    engines = {"fixed": _fixed(setup, graph=False), "graphs": _fixed(setup)}
    kinds = {name: [name] for name in setup.artefacts} | {"all": list(setup.artefacts)}
    rows = []
    for title, names in kinds.items():
        for batch in sorted(devices.SIZES):
            runs: dict[str, Callable[[np.ndarray], Any]] = {"free": _free(setup, names)}
            runs |= {
                engine: lambda images, e=fixed, n=names: e.classify(images, n) for engine, fixed in engines.items()
            }
            for engine, run in runs.items():
                milliseconds = measure(run, setup.images, batch, setup.calls)
                rows.append({"engine": engine} | row(title, batch, milliseconds))
    captured = engines["graphs"].captured
    return [*rows, {"captured": captured}]


def _free(setup: Setup, names: list[str]) -> Callable[[np.ndarray], Any]:
    chosen = [setup.artefacts[name] for name in names]
    return lambda images: [artefact.session.run(list(artefact.outputs), {"images": images}) for artefact in chosen]


def memory(setup: Setup) -> dict[str, Any]:
    """MiB: of this process on the GPU by nvidia-smi, and the weights of one copy of all models."""
    found = {"file_mib": round(sum(len(artefact.content) for artefact in setup.artefacts.values()) / 2**20, 1)}
    if setup.device == "cuda":
        before = _used()
        fixed = _fixed(setup)
        found |= {"fixed_shapes_mib": _used() - before, "process_mib": _used()}
        del fixed
    return found


def _used() -> int:
    command = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(",") for line in listing.splitlines()]
    return sum(int(used) for pid, used in rows if int(pid) == os.getpid())


def http(setup: Setup) -> dict[str, Any]:
    """The records of `benchmarks.http`, which starts a service of its own, by number of workers."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in WORKERS:
            record = Path(folder) / f"{workers}.json"
            command: list[str | Path] = [sys.executable, "-m", "benchmarks.http", "--servers", "floor", "service"]
            command += ["--workers", str(workers), "--record", str(record)]
            variables = os.environ | {"QUINTET_DEVICE": setup.device}
            done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"benchmarks.http fails: {done.stderr[-500:]}")
            found[str(workers)] = json.loads(record.read_text())
    return found


def _fixed(setup: Setup, graph: bool = True) -> FixedShapes:
    return FixedShapes(setup.artefacts, setup.device, graph=graph)


PARTS = {part.__name__: part for part in (machine, placement, parity, speed, memory, http)}


def collect(setup: Setup, parts: list[str]) -> dict[str, Any]:
    """{part: what it found, or {"error": its reason}}, and the seconds of each."""
    found: dict[str, Any] = {"seconds": {}}
    for name in parts:
        print(name, flush=True)
        start = time.perf_counter()
        try:
            found[name] = PARTS[name](setup)
        except Exception as error:  # the person who sends this has one try: the other parts are still worth having
            found[name] = {"error": f"{type(error).__name__}: {error}"}
        found["seconds"][name] = round(time.perf_counter() - start, 1)
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help=f"default: {OUT}")
    parser.add_argument("--device", choices=sorted(devices.PROVIDERS), default="cuda", help="default: cuda")
    parser.add_argument("--images", type=int, default=10_000, help="of the comparison with the CPU; default: 10,000")
    parser.add_argument("--calls", type=int, default=100, help="timed calls of each kind; default: 100")
    parser.add_argument("--without", nargs="*", choices=list(PARTS), default=[], help="parts to leave out")
    arguments = parser.parse_args(argv)
    models = environment.load().models
    try:
        names = load_consensus(models).names
        device = devices.choose_device(arguments.device)
        artefacts = {name: open_artefact(models / f"{name}.onnx", device, threads=1) for name in names}
    except RuntimeError as error:
        sys.exit(str(error))
    images = pictures()[: arguments.images]
    setup = Setup(device=device, artefacts=artefacts, images=images, calls=arguments.calls)
    found = collect(setup, [name for name in PARTS if name not in arguments.without])
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"Written to {arguments.out}; please send it back.")
    sys.exit(any(isinstance(part, dict) and "error" in part for part in found.values()))


if __name__ == "__main__":
    main()
