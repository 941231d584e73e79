"""What the epochs of a run say: metrics.jsonl, a line each."""

import json
import statistics

FILE = "metrics.jsonl"


def read(folder):
    """One dict an epoch."""
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def write(folder, metrics):
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in metrics))


def best_of(metrics):
    """The epoch that is kept: the one with the least validation loss, which a lucky image or two hardly change."""
    return min(metrics, key=lambda line: line["validation_loss"])


def duration(metrics):
    """Seconds of a run's epochs, all counted as the median one: on a machine with other work some stand still."""
    return len(metrics) * statistics.median(line["seconds"] for line in metrics)
