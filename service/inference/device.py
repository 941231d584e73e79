"""Where models run: which device is there, and the onnxruntime sessions on it."""

import ctypes
from pathlib import Path
from typing import Any

import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class CudaUnusable(RuntimeError):
    """CUDA was found or asked for, but its provider cannot run these models; the message says why."""


class DeviceLost(RuntimeError):
    """A run failed, and then the smallest run failed too: this process will not answer again and has to be replaced."""


def reason_of(error: BaseException) -> str:
    """The first line of an onnxruntime error, whose others are paths and line numbers."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def choose_device(wanted: str) -> str:
    """Resolve "auto" to "cuda" or "cpu". Raises RuntimeError if "cuda" is wanted and there is no driver.

    Whether CUDA's libraries load is known only when the first session is made; see `open_session`.
    """
    if wanted == "cpu":
        return "cpu"
    reason = None
    if PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
        reason = "this onnxruntime was built without CUDA"
    else:
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            reason = "there is no NVIDIA driver, libcuda.so.1"
    if reason is None:
        return "cuda"
    if wanted == "cuda":
        raise RuntimeError(f"QUINTET_DEVICE is 'cuda', but {reason}; use 'auto' or 'cpu'.")
    return "cpu"


def session_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A waiting thread that spins takes the core from the next model and from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    return options


def open_session(
    model: bytes | str | Path, device: str, threads: int, floats: bool = False
) -> onnxruntime.InferenceSession:
    """An onnxruntime session of a model's bytes or path.

    floats: compute an 8-bit graph in 32-bit floats with its stored weights. A GPU would round between any two layers
    and gain nothing by it. The answers differ a little from the 8-bit ones.
    Raises onnxruntime's own errors; it never falls back to another provider.
    """
    options, unwanted = session_options(threads), []
    if floats:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_session_config_entry("session.enable_quant_qdq_cleanup", "1")
        unwanted = ["ReluQuantRewrite"]  # removes each ReLU that 8-bit rounding makes redundant; floats need them
    return onnxruntime.InferenceSession(
        model, options, providers_of(device), disabled_optimizers=unwanted, enable_fallback=0
    )


def providers_of(device: str) -> list[str | tuple[str, dict[Any, Any]]]:
    """onnxruntime's providers for a device, the preferred one first."""
    if device == "cpu":
        return [PROVIDERS["cpu"]]
    # An exhaustive search takes seconds for each new shape and gains a few per cent. TF32 would cut the bits with which
    # temperatures and thresholds were fitted.
    options = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    return [(PROVIDERS["cuda"], options), PROVIDERS["cpu"]]
