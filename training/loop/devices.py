"""The devices that a run trains on: a CPU, a GPU, or several that train one network together.

To use several, run `torchrun --nproc-per-node N -m training.train NAME`. Each process takes its share of every batch
and augments it with its own random numbers. DistributedDataParallel averages the gradients, so all processes hold the
same network. The recorded loss is that of the whole batch, and a checkpoint can be resumed by any number of processes.
Batch norm takes its statistics from each process's share, so the loss curves of one process and of several differ by
these and by the random numbers. Only the first process writes files.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

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
    return f"{_cpu('model name') or 'CPU'}, {threads} thread{'s' * (threads > 1)}"


@cache
def _cpu(key: str) -> str:
    """One entry of CPUINFO; empty if there is none."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def join(device: torch.device) -> tuple[int, int, torch.device]:
    """Join the processes that torchrun started. Returns this process's rank, their number and this process's device."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return 0, 1, device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return distributed.get_rank(), size, device


def mean(value: torch.Tensor, size: int) -> torch.Tensor:
    """The mean of a scalar over `size` processes, in all of them."""
    if size > 1:
        distributed.all_reduce(value)
        value = value / size
    return value


def leave() -> None:
    """Wait for the other processes and leave their group."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


class Objective(nn.Module):
    """A network's loss as a forward pass, because DistributedDataParallel acts only on `forward`."""

    def __init__(self, network: nn.Module, degrade: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.network: Any = network  # has a `loss`, see training.networks
        self.degrade = degrade

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.network.loss(images, labels, self.degrade)


def objective(network: nn.Module, degrade: Callable[[torch.Tensor], torch.Tensor], size: int) -> nn.Module:
    """The loss of a network. Its gradients are averaged over `size` processes."""
    module = Objective(network, degrade)
    return module if size == 1 else DistributedDataParallel(module, gradient_as_bucket_view=True)
