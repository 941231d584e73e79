"""Read one digit, or whole pages, from any number of images: a row an image, in parquet.

quintet batch scans/ more.tar 'years/**/*.png' --out results
quintet batch photographs.parquet --out results --read
quintet batch /mnt/scans --out /mnt/results --address auto

A folder stands for all images, tar archives and parquet tables below it. A damaged image is a row with an error. Call
the command again to go on after it was stopped; no image is lost or read twice. Ray Data runs it where it is installed
(extra `batch`), on this machine or the cluster at --address; otherwise one process does, with the same rows.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from service import settings as environment
from service.batch import cluster, output, plain, sources
from service.inference.consensus import load_consensus


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status, 0 also where some images could not be read."""
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="quintet batch", description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="file, folder, pattern, tar archive, parquet table"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the rows go")
    parser.add_argument("--read", action="store_true", help="also read whole pages: text and boxes")
    parser.add_argument("--models", help="names separated by commas; default: all")
    parser.add_argument("--engine", choices=["ray", "plain"], help="default: ray where it is installed")
    parser.add_argument("--workers", type=int, help="Ray actors; default: one a GPU, or one a core but one")
    parser.add_argument("--address", help="of a Ray cluster; default: Ray on this machine")
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
