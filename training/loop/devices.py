"""One run on several devices: torchrun --nproc-per-node N -m training.train NAME.

Each process takes its share of every batch and augments it with random numbers of its own; DistributedDataParallel
averages the gradients, so all hold the same network. The first process alone writes.
"""

import os

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def join(device):
    """Join the processes that torchrun started. Returns this one's rank, their number and its device."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return 0, 1, device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return distributed.get_rank(), size, device


def leave():
    """Wait for the others and part from them."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


class Objective(nn.Module):
    """A network's loss as a forward pass, which is what DistributedDataParallel hooks into."""

    def __init__(self, network, degrade):
        super().__init__()
        self.network, self.degrade = network, degrade

    def forward(self, images, labels):
        return self.network.loss(images, labels, self.degrade)


def objective(network, degrade, size):
    module = Objective(network, degrade)
    return module if size == 1 else DistributedDataParallel(module, gradient_as_bucket_view=True)
