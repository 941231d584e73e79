"""Measure the artefacts in models/ and fit their consensus: quintet evaluate.

The command writes each artefact's figures into its metadata. It writes the weights, temperatures, thresholds and file
hashes that the service needs into models/consensus.json, and all measurements into results/, for `quintet report`. With
one or more NAMEs it measures only these artefacts and writes nothing.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from training.command import command


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0].removesuffix(": quintet evaluate."))
    parser.add_argument("names", metavar="NAME", nargs="*", help="measure only these and write nothing")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument(
        "--writers", type=Path, help="folder of the other writers' data; default: $WRITERS_ROOT, else data/writers"
    )
    parser.add_argument("--images", type=Path, help="folder of labelled images: an index.csv, or folders 0 to 9")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    arguments = parser.parse_args(argv)
    models: Path = arguments.models

    from service.inference.artefact import UnusableArtefact
    from training.data import fetch
    from training.measure.folder import labelled
    from training.report import by_model, own, weak

    try:
        names = chosen(arguments.names, models)
        pictures = labelled(arguments.images) if arguments.images else []
        fetch.check(arguments.data, None, mnist_alone=True)

        from training.measure import evaluation  # loads PyTorch, which takes seconds
        from training.task import Data

        found, answers = evaluation.evaluate(names, models, Data(root=arguments.data, writers=arguments.writers))
        with TemporaryDirectory() as scratch:
            folder = Path(scratch) if arguments.names else models
            evaluation.release(found, answers, names, models, folder)
            if pictures:
                evaluation.measure_own(found, pictures, folder, names)
        if not arguments.names:
            if kept := evaluation.record(found, answers, names, arguments.results):
                print(f"Not measured now, kept as it was in {arguments.results}: {', '.join(kept)}.")
    except (FileNotFoundError, UnusableArtefact) as error:
        sys.exit(str(error))
    for text in (by_model(found), own(found), "\n".join(weak(found))):
        if text:
            print(text)
    print(json.dumps(evaluation.rounded(found)))


def chosen(names: list[str], models: Path) -> list[str]:
    """`names`, or all artefacts that name digits if there are none. Raises FileNotFoundError for any other name."""
    from training.records import voters

    found, create = voters(models), f"create one with: {command('quintet export NAME')}"
    if not found:
        raise FileNotFoundError(f"{models} holds no artefact of a network that names digits; {create}")
    for name in names:
        if name not in found:
            raise FileNotFoundError(f"{models} holds no {name!r} that names digits, but {', '.join(found)}; {create}")
    return names or found


if __name__ == "__main__":
    main()
