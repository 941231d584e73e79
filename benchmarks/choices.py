"""Compare settings of the predictor: threads, spinning, models in turn or side by side, 8 bits or floats.

In each round every variant answers the same image a few times, so that all variants share the machine's ups and downs.
The first call of a turn does not count, because the caches still hold another variant's weights; the median of the
others does. The benchmark also times loading the sessions, with and without a saved optimised graph. The last line of
the output is JSON.

    python -m benchmarks.choices
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime import InferenceSession
from tqdm import tqdm

from benchmarks.offline import hardware
from service import settings as environment
from service.inference.consensus import load_consensus
from service.inference.device import open_session, session_options

Run = Callable[[], object]

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28), np.uint8)
CALLS = 6  # of a variant in each round
REST = 0.05  # seconds before a variant's calls, in which spinning threads stop


def sessions(paths: Sequence[Path], threads: int, spinning: bool = False) -> list[InferenceSession]:
    options = session_options(threads)
    if spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    return [InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in paths]


def in_turn(chosen: Sequence[InferenceSession]) -> Run:
    return lambda: [session.run(None, {"images": IMAGE}) for session in chosen]


def side_by_side(chosen: Sequence[InferenceSession], pool: ThreadPoolExecutor) -> Run:
    return lambda: list(pool.map(lambda session: session.run(None, {"images": IMAGE}), chosen))


def variants(paths: Sequence[Path], cores: int, pool: ThreadPoolExecutor) -> dict[str, Run]:
    """{variant: a function that answers one image with all models}"""
    found: dict[str, Run] = {}
    plain: list[InferenceSession] = []
    for threads in sorted({1, cores}):
        plain = sessions(paths, threads)
        found[f"{threads} threads, in turn"] = in_turn(plain)
        found[f"{threads} threads, side by side"] = side_by_side(plain, pool)
    found[f"{cores} threads, in turn, spinning"] = in_turn(sessions(paths, cores, spinning=True))
    floats = [open_session(path, "cpu", cores, floats=True) for path in paths]
    found[f"{cores} threads, in turn, floats"] = in_turn(floats)
    for path, served, other in zip(paths, plain, floats, strict=True):
        found[f"{path.stem}, as served"], found[f"{path.stem}, floats"] = in_turn([served]), in_turn([other])
    return found


def milliseconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def loading(paths: Sequence[Path], threads: int, folder: Path) -> dict[str, float]:
    """Seconds to load all sessions from the artefacts, and from graphs that onnxruntime optimised before."""
    saved = []
    for path in paths:
        options = session_options(threads)
        options.optimized_model_filepath = str(folder / path.name)
        InferenceSession(path, options, providers=["CPUExecutionProvider"])
        saved.append(folder / path.name)

    def again() -> list[InferenceSession]:
        options = session_options(threads)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return [InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in saved]

    plain = min(milliseconds(lambda: sessions(paths, threads)) for _ in range(3))
    return {"artefacts": plain / 1e3, "optimised before": min(milliseconds(again) for _ in range(3)) / 1e3}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="default: 20")
    arguments = parser.parse_args(argv)
    settings = environment.load()
    paths = [settings.models / f"{name}.onnx" for name in load_consensus(settings.models).names]
    with ThreadPoolExecutor(len(paths)) as pool, tempfile.TemporaryDirectory() as folder:
        found = variants(paths, settings.threads, pool)
        times: dict[str, list[float]] = {title: [] for title in found}
        for _ in tqdm(range(arguments.rounds)):
            for title, run in found.items():
                time.sleep(REST)
                times[title] += [milliseconds(run) for _ in range(CALLS)][1:]
        seconds = loading(paths, settings.threads, Path(folder))
    medians = {title: round(float(np.median(values)), 3) for title, values in times.items()}
    print(f"{hardware()}, all {len(paths)} models, one image, medians of {arguments.rounds} rounds")
    for title, value in medians.items():
        print(f"{title:<32} {value:>8.2f} ms")
    for title, value in seconds.items():
        print(f"loading, {title:<23} {value:>8.2f} s")
    print(
        json.dumps({"hardware": hardware(), "rounds": arguments.rounds, "milliseconds": medians, "loading_s": seconds})
    )


if __name__ == "__main__":
    main()
