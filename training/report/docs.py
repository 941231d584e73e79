"""Generated tables, and where they stand in pages that people write."""

import re
from collections.abc import Sequence
from pathlib import Path


def fill(page: Path, name: str, text: str) -> None:
    """Write `text` between the marks `<!-- name -->` and `<!-- /name -->` of a page, in place of what is there.

    A text of nothing leaves what is there. Raises ValueError if the page has no such marks.
    """
    before = page.read_text()
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(before):
        raise ValueError(f"{page} has no marks <!-- {name} --> and <!-- /{name} -->.")
    if text:
        page.write_text(marks.sub(lambda found: f"{found[1]}{text.strip()}\n{found[2]}", before))


def table_of(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"|{'|'.join(map(str, line))}|\n" for line in lines)
