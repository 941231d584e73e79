"""From the data to docs/results.md: train and export every network, evaluate them together, write the report.

Each step is the command that a person would type, so that each can be repeated alone. What is done already is left out:
a training goes on from its last finished epoch, and an artefact that is younger than its training stays.
"""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from service.picture.ink import FILE
from training import networks
from training.ink import NAME as INK
from training.ink import fit as ink
from training.loop.fit import WEIGHTS, Data
from training.loop.history import read
from training.loop.provenance import commit
from training.loop.recipe import MNIST_ALONE, Recipe
from training.loop.timing import seconds_an_epoch

LOG = "log.txt"
TAIL = 2000  # characters of a failed step's log that are shown


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is left to do of one network."""

    name: str
    epochs: int
    done: int  # of the epochs
    epoch: float  # seconds of one, as measured here; 0 if none is left

    @property
    def seconds(self) -> float:
        return (self.epochs - self.done) * self.epoch


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Where everything lies and how it is trained; None for the usual place or number."""

    runs: Path
    models: Path
    results: Path
    data: Path | None = None
    writers: Path | None = None
    images: Path | None = None
    sources: str = "all"
    epochs: int | None = None
    device: str = "auto"
    jobs: int = 1
    running: set[subprocess.Popen] = field(default_factory=set)

    def plan(self) -> list[Step]:
        """What is left of each network, the longest first. The speed of those left to train is measured."""
        found = []
        for name in tqdm(networks.NAMES, desc="measuring the speed of each"):
            recipe = self.recipe(name)
            done = min(len(read(self.runs / name)), recipe.epochs)
            seconds = 0.0
            if done < recipe.epochs:
                data = Data(root=self.data, writers=self.writers)
                seconds = seconds_an_epoch(name, recipe, self.device, data)
            found.append(Step(name=name, epochs=recipe.epochs, done=done, epoch=seconds))
        if self.sources == "all":
            recipe = self.recipe_of_ink()
            done = min(len(read(self.runs / INK)), recipe.epochs)
            data = Data(root=self.data, writers=self.writers)
            seconds = ink.seconds_an_epoch(recipe, self.device, data) if done < recipe.epochs else 0.0
            found.append(Step(name=INK, epochs=recipe.epochs, done=done, epoch=seconds))
        return sorted(found, key=lambda step: -step.seconds)

    def recipe_of_ink(self) -> ink.Recipe:
        return ink.Recipe() if self.epochs is None else ink.Recipe(epochs=self.epochs)

    def recipe(self, name: str) -> Recipe:
        """What `training.train` will train a network by."""
        recipe: Recipe = networks.load(name).RECIPE
        recipe = recipe if self.epochs is None else replace(recipe, epochs=self.epochs)
        return recipe if self.sources == "all" else replace(recipe, sources=MNIST_ALONE)

    def run(self, plan: list[Step]) -> None:
        """Do what is left. If a command fails, the other networks are finished, but not evaluated.

        Raises RuntimeError with the end of the log of the first command that failed.
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped; the same command goes on from here."))
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                jobs = [pool.submit(self.release, step.name) for step in plan]
                failed = [error for job in jobs if (error := job.exception())]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in self.running:
                    process.terminate()
                raise
        if failed:
            raise failed[0]
        where = ["--models", self.models, "--results", self.results]
        images = ["--images", self.images] if self.images else []
        self.call("training.evaluate", *where, *self.places(), *images)
        self.call("training.report", *where, "--runs", self.runs, *self.places()[:2])

    def release(self, name: str) -> None:
        """Train and export one network."""
        settings = ["--sources", self.sources, "--device", self.device, "--threads", 1, "--out", self.runs]
        if self.epochs is not None:
            settings += ["--epochs", self.epochs]
        self.call("training.train", name, "--resume", *settings, *self.places(), log=self.runs / name / LOG)
        weights, artefact = self.runs / name / WEIGHTS, self.models / (FILE if name == INK else f"{name}.onnx")
        if not artefact.exists() or artefact.stat().st_mtime < weights.stat().st_mtime:
            where = ["--runs", self.runs, "--models", self.models, *self.places()[:2]]
            self.call("training.export", name, *where, log=self.runs / name / LOG)

    def places(self) -> list[object]:
        """Arguments that say where the data is."""
        found: list[object] = ["--data", self.data] if self.data else []
        return found + (["--writers", self.writers] if self.writers else [])

    def call(self, module: str, *arguments: object, log: Path | None = None) -> None:
        """Run one command; what it prints goes to `log`, or to where ours goes."""
        command = [sys.executable, "-m", module, *map(str, arguments)]
        print(" ".join(["python", *command[1:]]), flush=True)
        if log is None:
            process = subprocess.Popen(command)
        else:
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, "a") as file:
                process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        self.running.add(process)
        status = process.wait()
        self.running.discard(process)
        if status:
            end = f":\n{log.read_text()[-TAIL:]}" if log else "."
            raise RuntimeError(f"{' '.join(command[1:4])} failed with status {status}{end}")


def describe(plan: list[Step], jobs: int) -> str:
    """The plan for people, with its times on this machine."""
    lines = [f"{'network':<12} {'epochs':>7} {'done':>5} {'s/epoch':>8} {'minutes left':>13}"]
    for step in plan:
        epoch = f"{step.epoch:.0f}" if step.epoch else "-"
        lines.append(f"{step.name:<12} {step.epochs:>7} {step.done:>5} {epoch:>8} {step.seconds / 60:>13.0f}")
    minutes = makespan([step.seconds for step in plan], jobs) / 60
    together = "one network at a time" if jobs == 1 else f"{jobs} networks at a time"
    lines.append(f"Training takes about {minutes:.0f} minutes here, {together}, if nothing else runs.")
    lines.append("Each network is then exported; at the end all are evaluated together and docs/results.md is written.")
    lines.append(f"The code is that of commit {commit()}.")
    return "\n".join(lines)


def makespan(seconds: list[float], jobs: int) -> float:
    """How long it takes to do all, each begun as soon as one of so many places is free."""
    places = [0.0] * jobs
    for step in seconds:
        places[places.index(min(places))] += step
    return max(places)
