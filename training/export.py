"""Export one trained network to models/NAME.onnx."""

import argparse
import sys
from pathlib import Path

from training import networks
from training.command import command
from training.runs import weights_of


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", metavar="NAME", choices=networks.NAMES, help=", ".join(networks.NAMES))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where `train` wrote; default: runs")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--as", dest="title", metavar="TITLE", help="name of the artefact; default: NAME")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    arguments = parser.parse_args(argv)

    try:
        weights_of(arguments.runs, arguments.name)

        from training.release import export  # loads PyTorch, which takes seconds
        from training.task import Data

        data = Data(root=arguments.data)
        path = export(arguments.name, arguments.runs, arguments.models, data, arguments.title)
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        sys.exit(str(error))
    print(f"{path}: {path.stat().st_size / 2**20:.2f} MiB.")
    print(f"The service serves the new file after: {command('quintet evaluate')}")


if __name__ == "__main__":
    main()
