"""Read a digit from image files, without a server: a line an image, and a sentence for each that cannot be read.

python -m service.cli photo.jpg scan.png
python -m service.cli --json --models cnn,vit *.png
"""

import argparse
import json
import sys
from pathlib import Path

from service import settings as environment
from service.answer import describe, see
from service.inference.batcher import Share
from service.inference.predictor import Predictor
from service.picture.errors import InvalidImage


def predict(path, predictor, names, settings):
    """The JSON of one prediction, as POST /predict gives it. Raises OSError, InvalidImage."""
    seen = see(path.read_bytes(), settings.max_pixels, settings.formats)
    share = Share(answers=predictor.classify(seen.images, names), started=seen.finished)
    return describe(seen, share, predictor.device)


def header(names, width):
    return "  ".join([f"{'image':{width}}", "digit", "confidence", "accepted", *names])


def row(path, result, width):
    own = [f"{model['digit']:>{len(model['name'])}}" for model in result["models"]]
    accepted = "yes" if result["accepted"] else "no"
    cells = [f"{path!s:{width}}", f"{result['digit']:>5}", f"{result['confidence']:>10.4f}", f"{accepted:>8}", *own]
    return "  ".join(cells)


def main(argv=None):
    """Returns the exit status: 1 if an image could not be read."""
    parser = argparse.ArgumentParser(prog="python -m service.cli", description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--models", help="names separated by commas; default: all")
    parser.add_argument("--json", action="store_true", help="a JSON object an image, as POST /predict gives it")
    arguments = parser.parse_args(argv)
    try:
        settings = environment.load()
        predictor = Predictor(settings.models, settings.device, settings.threads)
        names = predictor.choose(arguments.models)
    except (ValueError, RuntimeError) as error:
        parser.exit(2, f"{error}\n")
    width = max(len(str(path)) for path in arguments.images)
    if not arguments.json:
        print(header(names, width))
    status = 0
    for path in arguments.images:
        try:
            result = predict(path, predictor, names, settings)
        except (InvalidImage, OSError) as error:
            reason = f"{error.strerror}." if isinstance(error, OSError) else error
            print(f"{path}: {reason}", file=sys.stderr)
            status = 1
        else:
            print(json.dumps({"image": str(path)} | result) if arguments.json else row(path, result, width))
    return status


if __name__ == "__main__":
    sys.exit(main())
