"""One file of models/: what it says of itself, and the onnxruntime session that runs it."""

import ctypes
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class UnusableArtefact(RuntimeError):
    """A file of models/ that is missing, damaged or not what it should be; the message says what to do."""


class CudaUnusable(RuntimeError):
    """There is a driver, but onnxruntime runs the model on the CPU all the same."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    name: str
    metadata: dict  # of the file: strings and numbers
    sha256: str
    session: onnxruntime.InferenceSession
    outputs: tuple[str, ...]

    @property
    def device(self):
        """Where it really runs: "cuda" or "cpu"."""
        return "cuda" if PROVIDERS["cuda"] in self.session.get_providers() else "cpu"


def read(path: Path, sha256=None):
    """The bytes of an artefact. Raises UnusableArtefact if it is missing or its hash is not `sha256` (None: any)."""
    if not path.is_file():
        raise UnusableArtefact(f"{path} is missing; {_remedy(path)}")
    content = path.read_bytes()
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise UnusableArtefact(
            f"{path} is damaged or was replaced: it is not the file that was released; {_remedy(path)}"
        )
    return content


def open_artefact(path: Path, device, threads):
    """Load models/NAME.onnx on "cpu" or "cuda". Raises UnusableArtefact, CudaUnusable."""
    content = read(path)
    if device == "cuda":
        onnxruntime.preload_dlls()  # the CUDA and cuDNN of the Python wheels; once loaded, this is nothing
    try:
        session = open_session(content, device, threads if device == "cpu" else 1, floats=device == "cuda")
    except Exception as error:  # onnxruntime raises a class of its own for each way a file can be broken
        if device == "cuda":
            open_artefact(path, "cpu", threads)  # raises if it is the file's fault
            raise CudaUnusable(f"{path} does not load on the GPU: {reason_of(error)}") from error
        raise UnusableArtefact(f"{path} is damaged or no ONNX model ({reason_of(error)}); {_remedy(path)}") from error
    if PROVIDERS[device] not in session.get_providers():
        raise CudaUnusable("onnxruntime could not load its CUDA provider; install requirements/cuda.txt.")
    outputs = tuple(output.name for output in session.get_outputs())
    if [i.name for i in session.get_inputs()] != ["images"] or outputs[0] != "probabilities":
        raise UnusableArtefact(f"{path} is no digit recogniser: it has to take 'images' and give 'probabilities'.")
    return Artefact(
        name=path.stem,
        metadata={key: _value(text) for key, text in session.get_modelmeta().custom_metadata_map.items()},
        sha256=hashlib.sha256(content).hexdigest(),
        session=session,
        outputs=outputs,
    )


def reason_of(error):
    """The first line of what onnxruntime says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _remedy(path):
    return f"create it with: python -m training.export {path.stem} && python -m training.evaluate"


def choose_device(wanted):
    """Resolve "auto" to "cuda" or "cpu". Raises RuntimeError if "cuda" is wanted and there is no driver for it.

    Whether CUDA's libraries load is known when the first session is made: `open_artefact` looks.
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


def open_session(content, device, threads, floats=False):
    """An onnxruntime session of a model's bytes or path.

    floats: compute an 8-bit graph in floats, with its weights as they are: a GPU would round between any two layers,
    and gain nothing. Its answers then differ a little from those that temperatures and thresholds were chosen by.
    """
    options, unwanted = session_options(threads), []
    if floats:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_session_config_entry("session.enable_quant_qdq_cleanup", "1")
        unwanted = ["ReluQuantRewrite"]  # takes out rectifiers that the rounding, now gone, made needless
    return onnxruntime.InferenceSession(content, options, _providers(device), disabled_optimizers=unwanted)


def session_options(threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A waiting thread that spins takes the core from the next model and from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _providers(device):
    if device == "cpu":
        return [PROVIDERS["cpu"]]
    # Searching exhaustively takes seconds for each new shape, and gains a few per cent. Temperatures and thresholds
    # were fixed with all bits of a float, which TF32 cuts.
    options = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    return [(PROVIDERS["cuda"], options), PROVIDERS["cpu"]]


def _value(text):
    """Numbers were written as JSON, strings as they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text
