"""Fetch MNIST and the other writers' data from their public sources: python -m training.data.

Existing data is kept. docs/model-card.md cites each set and lists what its licence requires.
"""

import argparse
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="training.data", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder for MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--writers", type=Path, help="folder for the others; default: $WRITERS_ROOT, else data/writers")
    arguments = parser.parse_args(argv)

    from training.data import fetch, mnist
    from training.data.writers import folder

    root = folder(arguments.writers)

    try:
        mnist.load("train", arguments.data)
        print("MNIST is here (https://yann.lecun.com/exdb/mnist)", flush=True)
        for published in fetch.PUBLISHED:
            missing = published.missing(root)
            said = "is fetched" if missing else "is here"
            print(f"{published.name} {said} ({published.licence}, {published.address})", flush=True)
            if missing:
                published.fetch(root)
    except (OSError, ValueError) as error:
        sys.exit(f"{error} Put the files into {root}, or set WRITERS_ROOT to where they are.")


if __name__ == "__main__":
    main()
