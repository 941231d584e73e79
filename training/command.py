"""The commands that sentences name, as one can type them."""

import shutil
import sys
from pathlib import Path


def command(words: str) -> str:
    """A program of this environment and its arguments, with the program's folder if a shell would not find it."""
    name = words.partition(" ")[0]
    path = Path(sys.executable).with_name(name)
    if not path.exists() or Path(shutil.which(name) or "").parent == path.parent:
        return words
    folder = path.parent.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path.parent
    return f"{folder}/{words}"
