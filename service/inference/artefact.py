"""One file of models/: its metadata, its hash, and the onnxruntime session that runs it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from ..picture.ink import InkFinder
from .device import PROVIDERS, CudaUnusable, open_session, reason_of

Metadata = dict[str, Any]  # strings and numbers
ANSWERS = "probabilities", "boxes", "scores"
JUDGE = "is_digit"  # the network that says whether an image shows one digit, and its output
LINE = "line"  # the network that reads a line of writing


class UnusableArtefact(RuntimeError):
    """A file of models/ is missing, damaged or not an artefact; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    name: str
    metadata: Metadata
    sha256: str
    content: bytes  # the bytes of the file
    session: onnxruntime.InferenceSession
    outputs: tuple[str, ...]  # those of ANSWERS that the graph has

    @property
    def device(self) -> str:
        """The device that the session really uses: "cuda" or "cpu"."""
        return "cuda" if PROVIDERS["cuda"] in self.session.get_providers() else "cpu"


def read(path: Path, sha256: str | None = None) -> bytes:
    """The bytes of an artefact. Raises UnusableArtefact if it is missing, or if its hash is not `sha256`."""
    if not path.is_file():
        raise UnusableArtefact(f"{path} is missing; {remedy(path)}")
    content = path.read_bytes()
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise UnusableArtefact(f"{path} is not the file that was released: it is damaged or new; {remedy(path)}")
    return content


def open_artefact(path: Path, device: str, threads: int, gpu: int = 0) -> Artefact:
    """Load models/NAME.onnx on "cpu" or "cuda", for batches and pages of any size.

    Raises UnusableArtefact, CudaUnusable.
    """
    content = read(path)
    if device == "cuda":
        onnxruntime.preload_dlls()  # CUDA and cuDNN from their Python wheels; a second call does nothing
    try:
        session = open_session(content, device, threads if device == "cpu" else 1, floats=device == "cuda", gpu=gpu)
    except Exception as error:  # onnxruntime's exceptions have many classes
        if device == "cuda":
            open_artefact(path, "cpu", threads)  # raises if the file is at fault
            raise CudaUnusable(f"{path} does not load on the GPU: {reason_of(error)}") from error
        raise UnusableArtefact(f"{path} is damaged or no ONNX model ({reason_of(error)}); {remedy(path)}") from error
    if PROVIDERS[device] not in session.get_providers():
        raise CudaUnusable("onnxruntime could not load its CUDA provider; install requirements/cuda.txt.")
    inputs = [node.name for node in session.get_inputs()]
    outputs = [node.name for node in session.get_outputs()]
    if inputs != ["images"] or "probabilities" not in outputs:
        raise UnusableArtefact(
            f"{path} has inputs {inputs} and outputs {outputs}; an artefact has 'images' and 'probabilities'."
        )
    return Artefact(
        name=path.stem,
        metadata={key: _value(text) for key, text in session.get_modelmeta().custom_metadata_map.items()},
        sha256=hashlib.sha256(content).hexdigest(),
        content=content,
        session=session,
        outputs=tuple(name for name in ANSWERS if name in outputs),
    )


def open_finder(path: Path, threads: int = 1) -> InkFinder:
    """Load models/ink.onnx. Raises UnusableArtefact."""
    return InkFinder(open_helper(path, threads, "pictures", "ink"))


def open_helper(path: Path, threads: int, given: str, said: str) -> onnxruntime.InferenceSession:
    """Load a model of models/ that names no digit of an image, with the input `given` and the output `said`.

    Raises UnusableArtefact.
    """
    content = read(path)
    try:
        session = open_session(content, "cpu", threads)
    except Exception as error:  # as above
        raise UnusableArtefact(f"{path} is damaged or no ONNX model ({reason_of(error)}); {remedy(path)}") from error
    inputs, outputs = ([node.name for node in nodes] for nodes in (session.get_inputs(), session.get_outputs()))
    if (inputs, outputs) != ([given], [said]):
        found = f"{path} has inputs {inputs} and outputs {outputs}, not [{given!r}] and [{said!r}]"
        raise UnusableArtefact(f"{found}; {remedy(path)}")
    return session


def remedy(path: Path) -> str:
    """The second half of a sentence about an unusable file of models/: what to do.

    In a clone, git has the released file; elsewhere only training can create one.
    """
    evaluate = "python -m training.evaluate"
    create = evaluate if path.suffix == ".json" else f"python -m training.export {path.stem} && {evaluate}"
    if any((folder / ".git").exists() for folder in path.resolve().parents):
        return f"get the released file back with: git restore {path.parent}; or create a new one with: {create}"
    return f"copy it from the release again, or create it with: {create}"


def _value(text: str) -> Any:
    """Undo `training.release.set_properties`, which writes numbers as JSON and strings as they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text
