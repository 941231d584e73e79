"""Show on which device onnxruntime places each node of the artefacts, at each served shape, without a GPU.

onnxruntime's CUDA provider divides a graph between the GPU and the CPU before it uses the device. A stand-in for the
CUDA runtime that reports one GPU of compute capability 9.0 and does nothing is therefore enough to see the decision.
Nothing is computed: opening the session fails later, when it first needs cuDNN. The sessions are opened as in the
service.

    uv pip install -r requirements/cuda.txt nvidia-cuda-crt   # 2.7 GB; needs gcc, nm and ldd
    python -m benchmarks.placement

The last line of the output is JSON. The exit status is 1 if a node is on the CPU, or a shared library is missing.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import onnxruntime

from service.inference import device
from service.inference.consensus import load_consensus
from service.inference.shapes import PAGES, SIZES

PROVIDER = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
WHEELS = PROVIDER.parents[2] / "nvidia"
DRIVER = "libcuda.so.1"  # part of the NVIDIA driver, not of a wheel
CHILD = "QUINTET_PLACEMENT"  # in the environment of the process that opens a session
PLACED = re.compile(r"(?:All nodes|Node\(s\)) placed on \[(\w+)\]. Number of nodes: (\d+)")
FUNCTION = re.compile(r"_?_?(cuda|cublas|cudnn|cufft|curand|nvrtc|cu[A-Z])\w*")
STAND_IN = r"""
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

static cudaError_t give(void **address, size_t size) {
  return posix_memalign(address, 512, size ? size : 1) ? cudaErrorMemoryAllocation : cudaSuccess;
}
static cudaError_t handle(void *address) { return give((void **)address, 8); }
static cudaError_t number(int *address, int value) { *address = value; return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int *count) { return number(count, 1); }
cudaError_t cudaGetDevice(int *device) { return number(device, 0); }
cudaError_t cudaDriverGetVersion(int *version) { return number(version, CUDART_VERSION); }
cudaError_t cudaRuntimeGetVersion(int *version) { return number(version, CUDART_VERSION); }
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
  return number(value, attribute == cudaDevAttrComputeCapabilityMajor ? 9 : 0);
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
  memset(properties, 0, sizeof *properties);
  strcpy(properties->name, "stand-in");
  properties->major = 9;
  properties->warpSize = 32;
  properties->multiProcessorCount = 1;
  properties->maxThreadsPerBlock = 1024;
  properties->totalGlobalMem = 1ull << 36;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *free, size_t *total) { *free = *total = 1ull << 36; return cudaSuccess; }
cudaError_t cudaMalloc(void **address, size_t size) { return give(address, size); }
cudaError_t cudaMallocHost(void **address, size_t size) { return give(address, size); }
cudaError_t cudaHostAlloc(void **address, size_t size, unsigned flags) { return give(address, size); }
cudaError_t cudaFree(void *address) { free(address); return cudaSuccess; }
cudaError_t cudaFreeHost(void *address) { free(address); return cudaSuccess; }
cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind kind) {
  memcpy(to, from, size);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream) {
  return cudaMemcpy(to, from, size, kind);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) { return handle(stream); }
cudaError_t cudaStreamCreate(cudaStream_t *stream) { return handle(stream); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) { return handle(event); }
cudaError_t cudaEventCreate(cudaEvent_t *event) { return handle(event); }
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
const char *cudaGetErrorString(cudaError_t error) { return "stand-in"; }
const char *cudaGetErrorName(cudaError_t error) { return "stand-in"; }
int cublasCreate_v2(void **address) { return handle(address); }
int cublasLtCreate(void **address) { return handle(address); }
const char *cublasGetStatusName(int status) { return "stand-in"; }
"""


class Missing(RuntimeError):
    """A requirement is not installed; the message names it."""


def missing_libraries() -> list[str]:
    """The shared libraries that onnxruntime's CUDA provider needs and no wheel has. Raises Missing without wheels."""
    folders = sorted({str(path.parent) for path in WHEELS.glob("**/lib*.so*")})
    if not folders:
        raise Missing(f"{WHEELS} holds no CUDA wheels; install requirements/cuda.txt.")
    listing = _run(["ldd", PROVIDER], LD_LIBRARY_PATH=":".join(folders))
    return sorted(line.split()[0] for line in listing.splitlines() if "not found" in line)


def build(folder: Path) -> Path:
    """Compile the stand-in into a folder. Returns the library. Raises Missing without a compiler or headers."""
    headers = next(WHEELS.glob("*/include/cuda_runtime_api.h"), None)
    if headers is None or not (headers.parent / "crt").exists():
        raise Missing("CUDA's headers are not here; install requirements/cuda.txt and nvidia-cuda-crt.")
    symbols = _run(["nm", "--dynamic", "--undefined-only", PROVIDER]).split()
    names = {symbol.split("@")[0] for symbol in symbols if FUNCTION.match(symbol)}
    others = sorted(name for name in names if f" {name}(" not in STAND_IN and f"*{name}(" not in STAND_IN)
    (folder / "named.c").write_text(STAND_IN)
    (folder / "others.c").write_text("\n".join(f"long {name}(void) {{ return 0; }}" for name in others))
    library = folder / DRIVER
    command = ["gcc", "-w", "-shared", "-fPIC", f"-I{headers.parent}", folder / "named.c", folder / "others.c"]
    _run([*command, f"-Wl,-soname,{DRIVER}", "-o", library])
    return library


def place(model: Path, shape: tuple[int, int, int] | None, library: Path) -> dict[str, int]:
    """The number of nodes of a model on each provider: {"CUDAExecutionProvider": 23}."""
    asked = {CHILD: json.dumps([str(model), shape]), "LD_PRELOAD": str(library), "LD_LIBRARY_PATH": str(library.parent)}
    log = _run([sys.executable, "-m", "benchmarks.placement"], **asked)
    found = {provider: int(count) for provider, count in PLACED.findall(log)}
    if not found:
        raise RuntimeError(f"onnxruntime did not log the placement of the nodes of {model}: {log[-300:]}")
    return found


def shapes_of(model: Path) -> list[tuple[int, int, int] | None]:
    """The shapes (N, H, W) that the service fixes, and None for free shapes."""
    free = onnxruntime.InferenceSession(model, providers=[device.PROVIDERS["cpu"]]).get_inputs()[0].shape
    pages = [(1, *page) for page in PAGES] if "H" in free else []
    return [None, *((size, 28, 28) for size in SIZES), *pages]


def _open(model: str, shape: tuple[int, int, int] | None) -> None:
    """In a process of its own, open a session as the service does and log the placement of each node."""
    quiet = device.session_options

    def verbose(threads: int) -> onnxruntime.SessionOptions:
        options = quiet(threads)
        options.log_severity_level, options.log_verbosity_level = 0, 1
        return options

    device.session_options = verbose
    onnxruntime.preload_dlls()
    try:
        device.open_session(model, "cuda", 1, floats=True, shape=shape)
    except Exception as error:  # expected, after the nodes were placed
        print(device.reason_of(error))


def _run(command: list[str | Path], **environment: str) -> str:
    try:
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Missing(f"{command[0]} is not installed.") from error
    if done.returncode > 0:
        raise RuntimeError(f"{command[0]} fails: {done.stderr[-500:]}")
    return done.stdout + done.stderr


def main(argv: list[str] | None = None) -> None:
    if asked := os.environ.get(CHILD):
        model, shape = json.loads(asked)
        _open(model, shape and tuple(shape))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, help="ONNX files; default: all of models/")
    arguments = parser.parse_args(argv)
    rows = []
    try:
        missing = missing_libraries()
        with tempfile.TemporaryDirectory() as folder:
            library = build(Path(folder))
            names = load_consensus(Path("models")).names
            for model in arguments.models or [Path("models") / f"{name}.onnx" for name in names]:
                for shape in shapes_of(model):
                    rows.append({"model": model.stem, "shape": shape, "nodes": place(model, shape, library)})
                    print(model.stem, " x ".join(map(str, shape)) if shape else "free", rows[-1]["nodes"])
    except Missing as error:
        sys.exit(str(error))
    print(json.dumps({"onnxruntime": onnxruntime.__version__, "missing_libraries": missing, "rows": rows}))
    on_cpu = [row for row in rows if row["shape"] and device.PROVIDERS["cpu"] in row["nodes"]]
    sys.exit(bool(on_cpu or set(missing) - {DRIVER}))


if __name__ == "__main__":
    main()
