"""The plan for 10^9 images in docs/scale.md, computed from what results/batch.json has measured."""

from typing import Any

MILLION, BILLION = 10**6, 10**9
RUN = 10**7  # images that one run should have at most, see docs/scale.md
STORAGE = 10**9  # bytes a second that a shared file system or an object store may give, for the example
WAYS = {
    "plain": "one process, without Ray",
    "ray_1": "Ray, 1 worker",
    "ray_2": "Ray, 2 workers",
    "http": "`POST /predict`, 8 connections",
}


def scaled(record: dict[str, Any]) -> str:
    """The document's part: what was measured, and what follows for a million images and for 10^9."""
    images, cores = record["images"], record["cores"]
    parts: dict[str, dict[str, Any]] = record["parts"]
    lines = ["| way | images/s | days for 10^9 on this machine |", "| --- | --- | --- |"]
    for way, name in WAYS.items():
        if way in parts:
            rate = images / parts[way]["seconds"]
            lines.append(f"| {name} | {rate:,.1f} | {BILLION / rate / 86_400:,.0f} |")
    load = max(part["load_average_1min"] for part in parts.values())
    busy = f" Other work ran beside it: the load average was up to {load:.0f}." if load > cores + 2 else ""
    if busy and "plain" in parts:
        share = parts["plain"]["processor_seconds"] / parts["plain"]["seconds"] / cores
        busy += f" One process got {share:.0%} of the cores, so images/s say little; core-hours below say more."
    says = f"{images:,} images, {cores} cores of {record['cpu']}, starting included.{busy}"
    return "\n".join([says, "", *lines, "", *_plan(record), *_killed(record)])


def _plan(record: dict[str, Any]) -> list[str]:
    plain = record["parts"].get("plain")
    if plain is None:
        return []
    busy = plain["processor_seconds"] / record["images"]  # core-seconds of an image, starting included
    images, rows = record["bytes_per_image"] * BILLION, plain["bytes_per_row"] * BILLION
    bends = STORAGE / (record["bytes_per_image"] / busy)
    return [
        f"- One process used {busy * 1e3:,.1f} ms of a core for an image, so 10^9 images need "
        f"{busy * BILLION / 3600:,.0f} core-hours, {busy * MILLION / 3600:,.1f} a million; your price of a core-hour "
        f"makes the cost. {busy * BILLION / 86_400:,.0f} cores finish in a day, in {BILLION // RUN:,} runs of "
        f"{RUN:,} images.",
        f"- The images are {images / 1e12:,.1f} TB at the {record['bytes_per_image']:,} bytes of these, the rows "
        f"{rows / 1e9:,.0f} GB.",
        f"- A core reads {record['bytes_per_image'] / busy / 1e6:,.2f} MB/s. Storage of {STORAGE / 1e9:,.0f} GB/s in "
        f"all feeds {bends:,.0f} cores: beyond that it is what limits, and more cores only wait.",
    ]


def _killed(record: dict[str, Any]) -> list[str]:
    lines = []
    for way, name in WAYS.items():
        part = record["parts"].get(f"{way}_killed")
        if part is not None:
            same = record["parts"].get("plain", part)["rows"] == part["rows"]
            lines.append(
                f"- Killed after {part['rows_before']:,} rows and called again ({name}): {part['seconds']:,.0f} s to "
                f"the end, and {'the same rows' if same else 'OTHER ROWS'} as the run that nobody stopped."
            )
    return lines
