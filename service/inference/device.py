"""Choose the device that models run on, and open onnxruntime sessions on it."""

from pathlib import Path
from typing import Any

import onnxruntime

from . import driver

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
SESSION_MEMORY = 2**30  # bytes of GPU memory for one session, which could otherwise take all of it


class CudaUnusable(RuntimeError):
    """CUDA was found or requested, but its provider cannot run these models; the message says why."""


class DeviceLost(RuntimeError):
    """A run failed, and then the smallest run failed too, so this process must be replaced."""


def reason_of(error: BaseException) -> str:
    """The first line of an onnxruntime error; the other lines are paths and line numbers."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def choose_device(wanted: str) -> str:
    """Resolve "auto" to "cuda" or "cpu". Raises RuntimeError with one sentence if "cuda" cannot be used.

    Only opening the first session shows whether CUDA's libraries load; see `open_session`.
    """
    if wanted == "cpu":
        return "cpu"
    try:
        if PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
            raise driver.NoGpu("this onnxruntime was built without CUDA")
        driver.gpus()
    except driver.NoGpu as reason:
        if wanted == "cuda":
            raise RuntimeError(f"QUINTET_DEVICE is 'cuda', but {reason}; 'auto' and 'cpu' need no GPU.") from reason
        return "cpu"
    return "cuda"


def gpu_of(worker: int) -> int:
    """The number of the GPU for a worker. Workers are numbered from 0 and take the GPUs in turn."""
    return worker % len(driver.gpus())


def session_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits would take its core from the next model and from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    return options


def open_session(
    model: bytes | str | Path,
    device: str,
    threads: int,
    floats: bool = False,
    *,
    gpu: int = 0,
    shape: tuple[int, int, int] | None = None,
    graph: bool = False,
    profile: Path | None = None,
) -> onnxruntime.InferenceSession:
    """An onnxruntime session of a model's bytes or path.

    floats: compute an 8-bit graph in 32-bit floats with its stored weights, because rounding between layers makes a GPU
    no faster. The answers differ a little from the 8-bit ones.
    shape: fix the graph's N, H and W, so that computations on shapes run once, when the session is opened. On a GPU,
    they would otherwise run on the CPU in each run, while the GPU waits.
    graph: on a GPU, capture all kernels of a run as one CUDA graph, which needs a fixed shape.
    profile: write the time of each node to a file with this prefix, for benchmarks.
    Raises onnxruntime's own errors; it never falls back to another provider.
    """
    options, unwanted = session_options(threads), []
    for name, size in zip("NHW", shape or (), strict=False):
        options.add_free_dimension_override_by_name(name, size)
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if floats:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_session_config_entry("session.enable_quant_qdq_cleanup", "1")
        unwanted = ["ReluQuantRewrite"]  # removes each ReLU that 8-bit rounding makes redundant; floats need them
    return onnxruntime.InferenceSession(
        model, options, providers_of(device, gpu, graph), disabled_optimizers=unwanted, enable_fallback=0
    )


def providers_of(device: str, gpu: int = 0, graph: bool = False) -> list[str | tuple[str, dict[Any, Any]]]:
    """onnxruntime's providers for a device, the preferred one first."""
    if device == "cpu":
        return [PROVIDERS["cpu"]]
    options = {
        "device_id": gpu,
        "enable_cuda_graph": int(graph),
        "gpu_mem_limit": SESSION_MEMORY,
        "arena_extend_strategy": "kSameAsRequested",  # the default doubles the memory with each extension
        "cudnn_conv_algo_search": "HEURISTIC",  # an exhaustive search takes seconds a shape and gains a few per cent
        "use_tf32": 0,  # TF32 has fewer bits than the floats that temperatures and thresholds were fitted with
    }
    return [(PROVIDERS["cuda"], options), PROVIDERS["cpu"]]
