"""Estimate the duration of an epoch on this machine from a few steps."""

import time
from dataclasses import replace
from itertools import chain, count

import torch

from training.data.batches import Batches
from training.loop import devices
from training.loop.fit import Data
from training.loop.recipe import Recipe
from training.loop.run import Run
from training.loop.validation import Validation, predict

WARM_UP, STEPS = 2, 4  # training steps: not measured, measured
PREDICTED = 256  # validation images that are measured


def seconds_an_epoch(name: str, recipe: Recipe, device_name: str, data: Data, threads: int = 1) -> float:
    """Seconds that training and validation of one epoch take, with `threads` threads on a CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        device = devices.pick_device(device_name)
        batches = Batches(recipe.sources, recipe.batch_size, device, data.root, data.writers)
        run = Run(name, replace(recipe, weights=None), 0, device, batches.steps)
        run.network.train()
        # Several epochs, because one may have too few batches.
        images = chain.from_iterable(batches.epoch([number]) for number in count())
        start = 0.0
        for step in range(WARM_UP + STEPS):
            if step == WARM_UP:
                start = clock(device)
            run.train_step(*next(images))
        seconds = (clock(device) - start) / STEPS * batches.steps
        validation = Validation(device, list(batches.written), data.root, data.writers)
        start = clock(device)
        predict(run.averaged, validation.sets["mnist"][0][:PREDICTED])
        total = sum(len(labels) for _, labels in validation.sets.values())
        return seconds + (clock(device) - start) * total / PREDICTED
    finally:
        torch.set_num_threads(before)


def clock(device: torch.device) -> float:
    """The time in seconds, after the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
