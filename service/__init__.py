"""Read handwritten digits.

    from quintet import Recogniser
    Recogniser().predict("seven.png").digit

In a checkout, this package is also called `service`.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recogniser import Recogniser as Recogniser

__all__ = ["Recogniser"]
__version__ = "0.2.0"

# Nobody is called. Importing onnxruntime alone writes a device id into the home folder and starts its sender, which its
# API could only stop later (Privacy.md). Every way in imports this package before onnxruntime or BentoML's server.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")


def __getattr__(name: str) -> Any:
    """Import the Recogniser when it is asked for: the commands' help needs no model."""
    if name == "Recogniser":
        from .recogniser import Recogniser

        return Recogniser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
