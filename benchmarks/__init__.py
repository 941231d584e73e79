"""Benchmarks: one file for each question that a user asks. Each prints a table, `python -m benchmarks.NAME`.

A benchmark has `main(argv)` and, but for gpu, `TABLES`: for each record that it can keep, the function that turns it
into Markdown. With --record, the figures are kept in results/ and the table goes into docs/results.md
(`benchmarks.records`).
"""

import service  # noqa: F401  # it switches off what calls other hosts, before onnxruntime is loaded

NAMES = "batch", "gpu", "hostile", "http", "offline", "page", "pictures"
