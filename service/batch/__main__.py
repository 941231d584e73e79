"""Run `quintet batch` as python -m service.batch SOURCE... --out FOLDER."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
