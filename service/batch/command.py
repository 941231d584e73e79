"""Read one digit, or whole pages, from any number of images, and write one row of Parquet for each image.

quintet batch scans/ more.tar 'years/**/*.png' --out results
quintet batch photographs.parquet --out results --read
quintet batch /mnt/scans --out /mnt/results --address auto

A folder stands for all images, tar archives and Parquet tables below it. A damaged image gets a row with an error. If
the command was stopped, call it again to continue; no image is lost or read twice. If Ray Data is installed (extra
`batch`), it does the work on this machine or on the cluster at --address. Otherwise one process does, with the same
rows.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from .. import settings as environment
from ..inference.consensus import load_consensus
from . import cluster, output, plain, sources


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status, which is 0 even if some images could not be read."""
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="quintet batch", description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="file, folder, pattern, tar archive or Parquet table"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder for the rows")
    parser.add_argument("--read", action="store_true", help="also read whole pages: text and boxes")
    parser.add_argument("--models", help="names separated by commas; default: all")
    parser.add_argument("--engine", choices=["ray", "plain"], help="default: ray if it is installed")
    parser.add_argument(
        "--workers", type=int, help="number of Ray actors; default: one for each GPU, or for each core but one"
    )
    parser.add_argument("--address", help="address of a Ray cluster; default: Ray on this machine")
    arguments = parser.parse_args(argv)
    engine = arguments.engine or ("ray" if find_spec("ray") and output.has_parquet() else "plain")
    try:
        settings = environment.load()
        consensus = load_consensus(settings.models)
        pieces = sources.find(arguments.sources)
        about_run = {"sha256": consensus.sha256, "models": arguments.models, "read": arguments.read, "engine": engine}
        output.begin(arguments.out, about_run)
        if engine == "ray":
            cluster.run(
                pieces,
                arguments.out,
                settings,
                arguments.models,
                arguments.read,
                arguments.workers,
                arguments.address,
            )
        else:
            plain.run(pieces, arguments.out, settings, arguments.models, arguments.read)
    except ImportError as error:
        parser.exit(2, f"{error}; install the extra `batch`.\n")
    except (ValueError, RuntimeError) as error:
        parser.exit(2, f"{error}\n")
    rows, damaged = output.count(arguments.out)
    print(f"{rows:,} rows in {arguments.out}, {damaged:,} of them with an error", file=sys.stderr)
    return 0
