"""Export one trained network to models/NAME.onnx: python -m training.export NAME."""

import argparse
import sys
from pathlib import Path

from training import networks
from training.ink import NAME as INK


def main(argv: list[str] | None = None) -> None:
    names = [*networks.NAMES, INK]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", metavar="NAME", choices=names, help=", ".join(names))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where training.train wrote; default: runs")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    arguments = parser.parse_args(argv)

    from training.loop.fit import Data
    from training.release import ink
    from training.release.artefact import export

    try:
        if arguments.name == INK:
            path = ink.export(arguments.runs, arguments.models)
        else:
            path = export(arguments.name, arguments.runs, arguments.models, Data(root=arguments.data))
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        sys.exit(str(error))
    print(f"{path}: {path.stat().st_size / 2**20:.2f} MiB.")
    if arguments.name != INK:
        print("The service accepts the new file after: python -m training.evaluate")


if __name__ == "__main__":
    main()
