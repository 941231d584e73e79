"""The device that a run trains on: a CPU or a GPU."""

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")  # Linux's description of the processor


def pick_device(name: str) -> torch.device:
    """The torch device for "auto", "cpu" or "cuda". Raises ValueError if CUDA is requested but missing."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch finds no CUDA device; use --device cpu or auto.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device: torch.device) -> AbstractContextManager:
    """A context that computes in bfloat16 if the hardware multiplies bfloat16, else in float32."""
    if device.type == "cuda":
        multiplies = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        multiplies = "avx512_bf16" in _cpu("flags").split()
    return torch.autocast(device.type, torch.bfloat16) if multiplies else nullcontext()


def hardware(device: torch.device) -> str:
    """The name of the GPU, or of the CPU and the number of its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'s' * (threads > 1)}"


def processor() -> str:
    """The processor's name, as Linux gives it."""
    return _cpu("model name") or "CPU"


@cache
def _cpu(key: str) -> str:
    """One entry of CPUINFO; empty if there is none."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def clock(device: torch.device) -> float:
    """The time in seconds, after the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
