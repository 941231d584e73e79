import os

__version__ = "0.2.0"

# Nobody is called. Importing onnxruntime alone writes a device id into the home folder and starts its sender, which its
# API could only stop later (Privacy.md). Every way in imports this package before onnxruntime or BentoML's server.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
