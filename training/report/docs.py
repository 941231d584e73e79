"""Put generated text into a page of docs/ that people write."""

import re
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
