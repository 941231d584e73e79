"""Find the GPUs that onnxruntime can use, choose the device that models run on, and open onnxruntime sessions on it.

The GPUs are asked for through the C interface of the NVIDIA driver, https://docs.nvidia.com/cuda/cuda-driver-api/
"""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
SESSION_MEMORY = 2**30  # bytes of GPU memory for one session, which could otherwise take all of it
# Models are warmed up for these numbers of images, so that the first request gets their final speed and memory.
SIZES = 32, 8, 1  # the largest is first, because memory that grows later is not freed
LARGEST = SIZES[0]  # images in a batch; callers with more take turns with others
LIBRARY = "libcuda.so.1"
DRIVERS = {12: 525, 13: 580}  # the oldest driver for each CUDA: NVIDIA's table of minor version compatibility
LEAST_CAPABILITY = {12: (5, 0), 13: (7, 5)}  # the oldest GPUs that each CUDA still compiles for
COMPUTE_CAPABILITY = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


class CudaUnusable(RuntimeError):
    """CUDA was found or requested, but its provider cannot run these models; the message says why."""


class DeviceLost(RuntimeError):
    """A run failed, and then the smallest run failed too, so this process must be replaced."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    number: int
    name: str
    capability: tuple[int, int]  # 9, 0: an H100


class NoGpu(RuntimeError):
    """There is no GPU that onnxruntime can use; the message says why, without a full stop."""


def reason_of(error: BaseException) -> str:
    """The first line of an onnxruntime error; the other lines are paths and line numbers."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def gpus() -> list[Gpu]:
    """The GPUs that this process may use, in CUDA's order. CUDA_VISIBLE_DEVICES can hide some. Raises NoGpu."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NoGpu(f"there is no NVIDIA driver, {LIBRARY}") from error
    _call(library, "cuInit", 0)
    needed = int(onnxruntime.cuda_version.split(".")[0])  # the major version that it was built for
    version = _number(library, "cuDriverGetVersion")  # 13020: CUDA 13.2
    if version // 1000 < needed:
        raise NoGpu(
            f"the NVIDIA driver supports CUDA {version // 1000}.{version % 1000 // 10} and onnxruntime needs "
            f"CUDA {needed}: install driver {DRIVERS.get(needed, 'for it')} or newer"
        )
    found = [_gpu(library, number) for number in range(_number(library, "cuDeviceGetCount"))]
    if not found:
        raise NoGpu("the NVIDIA driver shows no GPU")
    least = LEAST_CAPABILITY.get(needed, (0, 0))
    for gpu in found:
        if gpu.capability < least:
            raise NoGpu(
                f"GPU {gpu.number}, {gpu.name}, has compute capability {_dotted(gpu.capability)} and CUDA {needed} "
                f"needs {_dotted(least)}: leave it out with CUDA_VISIBLE_DEVICES"
            )
    return found


def _gpu(library: ctypes.CDLL, number: int) -> Gpu:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    _call(library, "cuDeviceGet", ctypes.byref(device), number)
    _call(library, "cuDeviceGetName", name, len(name), device)
    major, minor = (_number(library, "cuDeviceGetAttribute", kind, device) for kind in COMPUTE_CAPABILITY)
    return Gpu(number=number, name=name.value.decode(errors="replace"), capability=(major, minor))


def _number(library: ctypes.CDLL, function: str, *arguments: int | ctypes.c_int) -> int:
    """The number that a function writes to the address in its first argument."""
    value = ctypes.c_int()
    _call(library, function, ctypes.byref(value), *arguments)
    return value.value


def _call(library: ctypes.CDLL, function: str, *arguments: object) -> None:
    status = getattr(library, function)(*arguments)
    if status:
        raise NoGpu(f"the NVIDIA driver answers {function} with error {status}")


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def choose_device(wanted: str) -> str:
    """Resolve "auto" to "cuda" or "cpu". Raises RuntimeError with one sentence if "cuda" cannot be used.

    Only opening the first session shows whether CUDA's libraries load; see `open_session`.
    """
    if wanted == "cpu":
        return "cpu"
    try:
        if PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
            raise NoGpu("this onnxruntime was built without CUDA")
        gpus()
    except NoGpu as reason:
        if wanted == "cuda":
            raise RuntimeError(f"QUINTET_DEVICE is 'cuda', but {reason}; 'auto' and 'cpu' need no GPU.") from reason
        return "cpu"
    return "cuda"


def gpu_of(worker: int) -> int:
    """The number of the GPU for a worker. Workers are numbered from 0 and take the GPUs in turn."""
    return worker % len(gpus())


def parts(images: np.ndarray) -> list[np.ndarray]:
    """Images (N, ...) in batches of at most LARGEST."""
    return [images[start : start + LARGEST] for start in range(0, len(images), LARGEST)]


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
