"""Where models run: which device is there, and the onnxruntime sessions on it."""

from pathlib import Path
from typing import Any

import onnxruntime

from service.inference import driver

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
SESSION_MEMORY = 2**30  # bytes of a GPU that one session may take; without a limit it could take all of it


class CudaUnusable(RuntimeError):
    """CUDA was found or asked for, but its provider cannot run these models; the message says why."""


class DeviceLost(RuntimeError):
    """A run failed, and then the smallest run failed too: this process will not answer again and has to be replaced."""


def reason_of(error: BaseException) -> str:
    """The first line of an onnxruntime error, whose others are paths and line numbers."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def choose_device(wanted: str) -> str:
    """Resolve "auto" to "cuda" or "cpu". Raises RuntimeError, one sentence, if "cuda" is wanted and cannot be used.

    Whether CUDA's libraries load is known only when the first session is made; see `open_session`.
    """
    if wanted == "cpu":
        return "cpu"
    try:
        if PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
            raise driver.NoGpu("this onnxruntime was built without CUDA")
        driver.gpus()
    except driver.NoGpu as reason:
        if wanted == "cuda":
            raise RuntimeError(f"QUINTET_DEVICE is 'cuda', but {reason}; or use 'auto' or 'cpu'.") from reason
        return "cpu"
    return "cuda"


def gpu_of(worker: int) -> int:
    """The number of the GPU that a worker uses: workers, numbered from 0, take them in turn."""
    return worker % len(driver.gpus())


def session_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A waiting thread that spins takes the core from the next model and from decoding.
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

    floats: compute an 8-bit graph in 32-bit floats with its stored weights. A GPU would round between any two layers
    and gain nothing by it. The answers differ a little from the 8-bit ones.
    shape: fix the graph's N, H and W. Computations on shapes are then done once, here; on a GPU they would run on the
    CPU and stop it for each run.
    graph: on a GPU, capture all kernels of a run as one CUDA graph, which needs a fixed shape.
    profile: write what each node costs to a file of this name, for benchmarks.
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
        "use_tf32": 0,  # it would cut the bits with which temperatures and thresholds were fitted
    }
    return [(PROVIDERS["cuda"], options), PROVIDERS["cpu"]]
