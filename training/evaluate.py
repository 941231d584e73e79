"""Measure the artefacts in models/ and fit their consensus: python -m training.evaluate.

The command writes each artefact's figures into that artefact's metadata. It writes the temperatures, thresholds and
file hashes that the service needs into models/consensus.json, and all measurements into results/, for training.report.
With one or more NAMEs it measures only these artefacts and writes nothing.
"""

import argparse
import json
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
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
    from training.measure.evaluation import add_numbers, evaluate, record, rounded, voters
    from training.measure.summary import summary
    from training.task import Data

    names = arguments.names or voters(models)
    if not names:
        sys.exit(f"{models} holds no artefact of a network that names digits; create one with: quintet export NAME")
    try:
        data = Data(root=arguments.data, writers=arguments.writers)
        found, answers = evaluate(names, models, data, arguments.images)
        if not arguments.names:
            record(found, answers, names, models, arguments.results)
            if arguments.images is not None:  # reading needs the consensus.json that `record` has just written
                add_numbers(found, arguments.images, models)
                record(found, answers, names, models, arguments.results)
    except (FileNotFoundError, UnusableArtefact) as error:
        sys.exit(str(error))
    print(summary(found))
    print(json.dumps(rounded(found)))


if __name__ == "__main__":
    main()
