"""Folders that are not Python: they lie beside the package in a checkout and inside it in an installed wheel."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def find(name: str) -> Path:
    """The folder `name`, such as "models"; where neither place has one, that of a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
