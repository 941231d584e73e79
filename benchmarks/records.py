"""Write the figures of recorded benchmarks into docs/, each between the two markers with its name.

Most files are written by the benchmark of the same name: results/crowd.json, offline.json, page.json, photographs.json,
ocr.json, nondigits.json, reading.json, batch.json and extras.json. results/soak.json is the last line of
`benchmarks.http --minutes 30`. results/http_detours.json has requests/s with and without former code that avoided parts
of FastAPI and BentoML.

    python -m benchmarks.records
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import extras, http, plan, profile, soak
from benchmarks.servers import PEERS

REPOSITORY = Path(__file__).parent.parent
Record = dict[str, Any]
NOT_YET = "Not measured yet."
PREFERRED = ", all of it preferred to other work on the machine"


def detours(record: Record) -> str:
    """Median and range of requests/s of each variant, for each choice of models and number of connections."""
    cases = sorted({(row["models"], row["connections"]) for row in record["rows"]})
    heads = [f"{models}, {connections} conn." for models, connections in cases]
    lines = [f"| with | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for variant in dict.fromkeys(row["variant"] for row in record["rows"] if row["turn"] == 0):
        cells = []
        for case in cases:
            values = [
                row["requests_per_sec"]
                for row in record["rows"]
                if row["variant"] == variant and (row["models"], row["connections"]) == case
            ]
            cells.append(f"{np.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})")
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    rounds = f"{record['rounds']} rounds of {record['seconds']} s in turn"
    where = f"commit {record['commit']}, {record['hardware']}"
    says = f"Requests/s of a PNG of 28x28 pixels, medians and ranges of {rounds}, {where}."
    return "\n".join([says, "", *lines])


def soaked(record: Record) -> str:
    return "\n".join(f"- {line}" for line in soak.report(record).splitlines())


def crowd(record: Record) -> str:
    """Latencies of /predict while other clients do something else, as medians over the rounds."""
    lines = ["| beside eight clients of | p50, ms | p95, ms | highest of /readyz, ms | answers to them |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for who, rounds in record["rounds"].items():
        figures = [
            f"{np.median([row[name] for row in rounds]):.1f}"
            for name in ("predict_p50_ms", "predict_p95_ms", "readyz_highest_ms")
        ]
        statuses = {status for row in rounds for status in row["others"]}
        lines.append(f"| {who} | {' | '.join(figures)} | {', '.join(sorted(statuses))} |")
    return "\n".join(lines)


def offline(record: Record) -> str:
    """Images/s of each model and of all together, for each batch size."""
    rows, setting = [row for row in record["rows"] if row["engine"] == "onnxruntime"], record["setting"]
    batches = sorted({row["batch"] for row in rows})
    lines = [f"| images/s | {' | '.join(f'batch {batch}' for batch in batches)} |", "| --- |" + " --- |" * len(batches)]
    for model in dict.fromkeys(row["model"] for row in rows):
        speeds = {row["batch"]: row["images_per_sec"] for row in rows if row["model"] == model}
        title = "all of them" if model == "all" else f"`{model}`"
        lines.append(f"| {title} | {' | '.join(f'{speeds[batch]:,}' for batch in batches)} |")
    where = f"{setting['threads']} threads of {setting['hardware']}, onnxruntime {setting['onnxruntime']}"
    says = f"One run on {where}: medians of {setting['calls']} calls of each kind after a warm-up."
    return "\n".join([says, "", *lines])


def page(record: Record) -> str:
    """Milliseconds from the end of a stroke to the text, and to the complete answer."""
    lines = ["| drawn | right | text, median | 95 % | complete, median | 95 % |", "| --- |" + " --- |" * 5]
    for row in record["rows"]:
        times = [row[f"{what}_{share}_ms"] for what in ("text", "complete") for share in ("p50", "p95")]
        lines.append(
            f"| {row['drawn']} | {row['right']} of {row['n']} | " + " | ".join(f"{t:.0f} ms" for t in times) + " |"
        )
    setting = record["setting"]
    where = f"{setting['workers']} worker, {setting['threads']} threads of {setting['hardware']}"
    return "\n".join([*lines, "", f"{where}, which the browser shares."])


def compared(record: Record) -> str:
    """Requests/s of each server, and how many the service answers for one of its own in the same round."""
    rows, setting = http.summary(record["rows"]), record["setting"]
    cases = list(dict.fromkeys((row["models"], row["connections"]) for row in rows))
    head = [
        f"| {' | '.join(['server', *(f'{models}, {connections} conn.' for models, connections in cases)])} |",
        "| --- |" + " --- |" * len(cases),
    ]
    speeds, ratios = [*head], [*head]
    for server in dict.fromkeys(row["server"] for row in record["rows"]):
        own = [row for row in rows if row["server"] == server]
        cells = [f"{row['requests_per_sec']:,.0f} ({row['cpu_ms']:.2f} ms)" for row in own]
        speeds.append(f"| {server} | {' | '.join(cells)} |")
        if server != "service":
            cells = ["{:.2f} ({:.2f} to {:.2f})".format(*row["service_ratio"]) for row in own]
            ratios.append(f"| {server} | {' | '.join(cells)} |")
    packages = ", ".join(f"{name} {setting[name]}" for name in PEERS if name in setting)
    where = (
        f"Medians of {setting['rounds']} rounds of {setting['seconds']:g} s in turn; {setting['workers']} worker, "
        f"{setting['threads']} threads of {setting['hardware']}, which the load shares; load average before "
        f"{setting['load_average']:.1f}{PREFERRED if setting['preferred'] else ''}; {packages}."
    )
    says = "Requests/s, and milliseconds of the cores for each:"
    ratio = "Requests of the service for one of the other server, with the lowest and highest of the rounds:"
    return "\n".join([where, "", says, "", *speeds, "", ratio, "", *ratios])


def profiled(record: Record) -> str:
    setting = record["setting"]
    before = PREFERRED if setting["preferred"] else ""
    says = f"{setting['threads']} threads of {setting['hardware']}, {setting['rate']} samples/s of each thread{before}."
    return "\n".join([says, "", profile.table(record["rows"])])


def photographs(record: Record) -> str:
    """The shares that are right, by hardship."""
    lines = ["| hardship | `/predict` | `/read` | numbers of five |", "| --- | --: | --: | --: |"]
    for name, shares in record["right"].items():
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(f'{share:.0%}' for share in shares)} |")
    return "\n".join([*lines, "", f"{record['count']} pictures of each kind."])


def ocr(record: Record) -> str:
    """Pictures read exactly and characters that are wrong, by reader."""
    lines = ["| pictures | n | reader | read exactly | wrong characters |", "| --- | --: | --- | --: | --: |"]
    for row in record["rows"]:
        shares = f"{row['exact']:.1%} | {row['character_errors']:.1%}"
        lines.append(f"| {row['set']} | {row['n']} | {row['reader']} | {shares} |")
    return "\n".join([*lines, "", f"RapidOCR {record['rapidocr']} with the models that come with it."])


def nondigits(record: Record) -> str:
    """Pictures without a digit that are taken for one, by kind."""
    lines = [
        "| pictures without a digit | n | accepted by `/predict` | not empty for `/read` |",
        "| --- | --: | --: | --: |",
    ]
    for title, row in record["rows"].items():
        lines.append(f"| {title} | {row['n']} | {row['accepted']} | {row['read']} |")
    return "\n".join(lines)


def reading(record: Record) -> str:
    """How long a picture takes, by kind."""
    lines = ["| picture | median, ms | 95 % below, ms |", "| --- | --: | --: |"]
    for title, row in record["rows"].items():
        lines.append(f"| {title} | {row['median_ms']:.0f} | {row['p95_ms']:.0f} |")
    count = next(iter(record["rows"].values()))["n"]
    return "\n".join(
        [*lines, "", f"{count} pictures of each kind, {record['threads']} threads of {record['hardware']}."]
    )


PLACES: dict[str, tuple[str, Callable[[Record], str]]] = {  # by name of marker and record: the document and the text
    "http_detours": ("docs/operations.md", detours),
    "soak": ("docs/operations.md", soaked),
    "crowd": ("docs/operations.md", crowd),
    "offline": ("docs/performance.md", offline),
    "page": ("docs/performance.md", page),
    "http": ("docs/performance.md", compared),
    "profile": ("docs/performance.md", profiled),
    "photographs": ("docs/reading.md", photographs),
    "ocr": ("docs/reading.md", ocr),
    "nondigits": ("docs/reading.md", nondigits),
    "reading": ("docs/reading.md", reading),
    "batch": ("docs/scale.md", plan.scaled),
    "extras": ("docs/scale.md", extras.table),
}


def recorded(name: str) -> Record | None:
    """The content of results/NAME.json; None if it does not exist."""
    path = REPOSITORY / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def filled(name: str, document: str, record: Record | None) -> str:
    """The document, with the text of the record `name` between its markers."""
    text = NOT_YET if record is None else PLACES[name][1](record)
    block = f"<!-- {name} -->\n{text}\n<!-- /{name} -->"
    return re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _: block, document, flags=re.DOTALL)


def main(argv: None = None) -> None:
    for name, (place, _) in PLACES.items():
        path = REPOSITORY / place
        path.write_text(filled(name, path.read_text(), recorded(name)))


if __name__ == "__main__":
    main()
