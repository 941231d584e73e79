"""Answer over HTTP: start BentoML's server with the service of this package.

quintet serve --port 8080
"""

import argparse
import os
import sys
from collections.abc import Sequence

from .files import PACKAGE

GRACE = 25  # seconds in which requests under way are answered after SIGTERM


def port(text: str) -> int:
    """A TCP port from the command line."""
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; a port is a number from 1 to 65535.")
    return int(text)


def main(argv: Sequence[str] | None = None) -> None:
    """Replaces this process by the server, which says in one sentence if it cannot listen there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=port, default=3000, help="default: 3000")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on; default: 0.0.0.0, all of them")
    chosen = parser.parse_args(argv)
    command = [sys.executable, "-m", "bentoml", "serve", "service.bento:Quintet", "--working-dir", str(PACKAGE.parent)]
    command += ["--host", chosen.host, "--port", str(chosen.port), "--timeout-graceful-shutdown", str(GRACE)]
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
