"""Reading beside an OCR of the trade, RapidOCR, on the same pictures: how many lines and pages each reads exactly.

RapidOCR finds text with a detector and reads it with a recogniser; a picture is also given to the recogniser alone,
which reads one line. Of what it reads only the digits are kept. Pictures: photographs of numbers by UNIPEN's test
writers, from whom nothing was learnt, and a folder of labelled pictures (see training.measure.folder).

    pip install '.[ocr]'
    python -m benchmarks.ocr --images FOLDER --record results/ocr.json
"""

import argparse
import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import handwriting
from service.picture.errors import InvalidImage
from service.recogniser import Recogniser
from training.data.writers import folder as writers_folder
from training.measure.folder import distance, labelled

SEED = 0
Reader = Callable[[bytes], str]  # the bytes of a picture to its lines of digits
Picture = tuple[bytes, str]  # and what is written on it


def quintet(models: Path) -> Reader:
    recogniser = Recogniser(models, "cpu", threads=1)

    def read(data: bytes) -> str:
        with suppress(InvalidImage):
            return recogniser.read(data).text
        return ""

    return read


def ocr(detector: bool) -> Reader:
    """Raises ModuleNotFoundError where RapidOCR is not installed."""
    rapidocr: Any = import_module("rapidocr")  # of the extra `ocr`

    logging.disable(logging.WARNING)  # it says at each picture what it did not find
    engine = rapidocr.RapidOCR()

    def read(data: bytes) -> str:
        found = engine(data, use_det=detector, use_cls=detector, use_rec=True)
        lines = (re.sub(r"[^0-9]", "", text) for text in found.txts or ())
        return "\n".join(line for line in lines if line)

    return read


def measure(reader: Reader, pictures: Iterable[Picture]) -> dict[str, Any]:
    """How many pictures are read exactly, and the characters that are wrong as a share of those written."""
    exact = errors = written = count = 0
    for data, truth in pictures:
        said = reader(data)
        exact += said == truth
        errors += distance(truth, said)
        written += len(truth)
        count += 1
    return {"n": count, "exact": exact / count, "character_errors": errors / written}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="photographs of UNIPEN's numbers; default: 200")
    parser.add_argument("--images", type=Path, help="a folder of labelled pictures, as the development set")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--writers", type=Path, help="folder of the other writers' data")
    parser.add_argument("--record", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    generator = np.random.default_rng(SEED)
    sets = {"UNIPEN numbers": handwriting.numbers(writers_folder(args.writers), args.count, generator)}
    if args.images:
        named = [(one.path.read_bytes(), one.truth) for one in labelled(args.images) if len(one.truth) > 1]
        sets["lines of the development set"] = [one for one in named if "\n" not in one[1]]
        sets["pages of the development set"] = [one for one in named if "\n" in one[1]]
    readers = {"Quintet": quintet(args.models)}
    readers["RapidOCR"] = ocr(detector=True)
    readers["RapidOCR, recogniser alone"] = ocr(detector=False)
    rows = []
    for name, pictures in sets.items():
        for who, reader in readers.items():
            row = {"set": name, "reader": who} | measure(reader, tqdm(pictures, f"{who}: {name}"))
            rows.append(row)
            print(f"{name:32}{who:28}{row['exact']:7.1%} exact {row['character_errors']:7.1%} errors, n = {row['n']}")
    report = {"seed": SEED, "rapidocr": version("rapidocr"), "rows": rows}
    if args.record:
        args.record.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
