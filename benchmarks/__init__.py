import service  # noqa: F401  # it switches off what calls other hosts, before onnxruntime is loaded
