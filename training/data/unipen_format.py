"""Parse UNIPEN's text files (https://doi.org/10.1109/ICPR.1994.576870) into labelled samples of pen strokes."""

import re
from collections.abc import Iterable

Stroke = list[tuple[float, float]]  # points, y downwards
Sample = tuple[str, str, str, list[Stroke]]  # label, writer, collection, strokes

SEGMENT = re.compile(r'\.SEGMENT\s+(?P<kind>CHARACTER|WORD)\s+(?P<where>\S+)\s+\S+\s+"(?P<label>.*)"\s*$')
NUMBER = re.compile("[0-9]{2,7}")


class Unipen:
    """The files of train_r01_v07: data/CATEGORY/CONTRIBUTOR/... with segments of strokes in include/CONTRIBUTOR/...

    Contributors and writers become numbers in the order in which they appear.
    """

    PARTS = {"1a": "digits", "1b": "upper", "1c": "lower", "1d": "symbols", "7": "numbers"}
    # The CD's own table has nine lower letters less, and counts 1,585 fragments labelled "\\@" as symbols.
    COUNTS = {"digits": 15_953, "upper": 28_069, "lower": 61_360, "symbols": 15_701, "numbers": 790}

    def __init__(self, files: dict[str, str]) -> None:
        """files: texts by their paths below the repository."""
        self.files = files
        self.writers: dict[str, int] = {}
        self.collections: dict[str, int] = {}

    def samples(self, part: str) -> Iterable[Sample]:
        """The labelled samples of a part, such as "digits": single characters, or words that are numbers."""
        category = next(key for key, name in self.PARTS.items() if name == part)
        for path in sorted(path for path in self.files if path.startswith(f"data/{category}/")):
            contributor = path.split("/")[2]
            lines = self.included(path)
            strokes = components(lines)
            writer = next((line.split(maxsplit=1)[1] for line in lines if line.startswith(".WRITER_ID ")), path)
            number = self.writers.setdefault(f"{contributor} {writer}", len(self.writers))
            collection = self.collections.setdefault(contributor, len(self.collections))
            for line in self.files[path].splitlines():
                if (found := SEGMENT.match(line)) and belongs(part, found["kind"], found["label"]):
                    drawn = [
                        stroke for at in components_of(found["where"]) for stroke in strokes[at : at + 1] if stroke
                    ]
                    if drawn:
                        yield found["label"], str(number), str(collection), drawn

    def included(self, path: str, depth: int = 0) -> list[str]:
        """The lines of a file; each .INCLUDE line is replaced by the lines of the included file."""
        lines = []
        for line in self.files[path].splitlines():
            included = f"include/{line.split(maxsplit=1)[1].strip()}" if line.startswith(".INCLUDE ") else ""
            if included in self.files and depth < 5:
                lines += self.included(included, depth + 1)
            else:
                lines.append(line)
        return lines


def belongs(part: str, kind: str, label: str) -> bool:
    """Whether a segment is a sample of a part."""
    if part == "numbers":
        return kind == "WORD" and NUMBER.fullmatch(label) is not None
    return kind == "CHARACTER" and len(label) == 1


def components_of(where: str) -> list[int]:
    """The pen components of a segment: "2-3,7" means 2, 3 and 7; "4:10-5:2" means 4 and 5, its points are ignored."""
    found = []
    for part in where.split(","):
        ends = [int(end.split(":")[0]) for end in part.split("-")]
        found += range(ends[0], ends[-1] + 1)
    return found


def components(lines: list[str]) -> list[Stroke]:
    """The pen components in UNIPEN's lines, y downwards, in inches if the resolution is known.

    The component of a lifted pen is empty.
    """
    columns, per_x, per_y = ["X", "Y"], 1.0, 1.0
    found: list[Stroke] = []
    down = False
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == ".COORD":
            columns = words[1:]
        elif words[0] == ".X_POINTS_PER_INCH":
            per_x = float(words[1])
        elif words[0] == ".Y_POINTS_PER_INCH":
            per_y = float(words[1])
        elif words[0] in (".PEN_DOWN", ".PEN_UP"):
            down = words[0] == ".PEN_DOWN"
            found.append([])
        elif not words[0].startswith(".") and down and len(words) >= len(columns):
            x, y = float(words[columns.index("X")]), float(words[columns.index("Y")])
            found[-1].append((x / per_x, -y / per_y))
    return found
