"""Find the GPUs that onnxruntime can use, through the C interface of the NVIDIA driver.

https://docs.nvidia.com/cuda/cuda-driver-api/
"""

import ctypes
from dataclasses import dataclass

import onnxruntime

LIBRARY = "libcuda.so.1"
DRIVERS = {12: 525, 13: 580}  # the oldest driver for each CUDA: NVIDIA's table of minor version compatibility
LEAST_CAPABILITY = {12: (5, 0), 13: (7, 5)}  # the oldest GPUs that each CUDA still compiles for
COMPUTE_CAPABILITY = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


@dataclass(frozen=True, kw_only=True)
class Gpu:
    number: int
    name: str
    capability: tuple[int, int]  # 9, 0: an H100


class NoGpu(RuntimeError):
    """There is no GPU that onnxruntime can use; the message says why, without a full stop."""


def gpus() -> list[Gpu]:
    """The GPUs that this process may use, in CUDA's order. CUDA_VISIBLE_DEVICES can hide some. Raises NoGpu."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NoGpu(f"there is no NVIDIA driver, {LIBRARY}") from error
    _call(library, "cuInit", 0)
    needed = cuda_major()
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


def cuda_major() -> int:
    """The major version of CUDA that the installed onnxruntime was built for."""
    return int(onnxruntime.cuda_version.split(".")[0])


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
