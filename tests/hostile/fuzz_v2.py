"""Thousands of damaged, false and oversized requests of the Open Inference Protocol: each gets an answer, none a 5xx.

The pictures, the damage and the way of asking are those of `tests.hostile.fuzz`.

    python -m tests.hostile.fuzz_v2 --cases 50000 --seed 1
"""

import gzip
import json
import random
import sys
import zlib
from typing import Any

import numpy as np

from service.http.tensors import JSON_LENGTH
from tests.hostile.fuzz import damage, main, upload

Case = tuple[str, bytes, dict[str, str]]  # path, body and headers of a POST
ODD: list[Any] = [None, -1, 0, 1, 2**31, 10**40, 0.5, True, "", "x" * 2_000, [], [[]], {}, {"a": {}}, "UINT8", [1, 2]]
BOMB = gzip.compress(bytes(50_000_000))


def tensor(chance: random.Random, model: str) -> tuple[dict[str, Any], bytes]:
    """An input as JSON, and the bytes that follow the JSON."""
    if model == "photograph":
        files = [upload(chance) for _ in range(chance.choice((1, 1, 2, 5, 33)))]
        content = b"".join(len(data).to_bytes(4, "little") + data for data in files)
        head: dict[str, Any] = {"name": "image", "datatype": "BYTES", "shape": [len(files)]}
    else:
        count = chance.choice((1, 2, 33, 1_024, 1_025))
        content = np.random.default_rng(chance.randrange(2**32)).bytes(count * 784)
        head = {"name": "images", "datatype": "UINT8", "shape": [count, 1, 28, 28]}
        if count < 3 and chance.random() < 0.5:
            data: Any = list(content)
            if chance.random() < 0.3:
                data[chance.randrange(len(data))] = chance.choice(ODD)
            return head | {"data": data}, b""
    return head | {"parameters": {"binary_data_size": len(content)}}, content


def spoil(value: Any, chance: random.Random) -> Any:
    """Something in JSON replaced by something odd."""
    if chance.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return chance.choice(ODD)
    place = chance.choice(list(value) if isinstance(value, dict) else range(min(len(value), 9)))
    value[place] = spoil(value[place], chance)
    return value


def case(seed: int, number: int) -> Case:
    chance = random.Random(f"v2/{seed}/{number}")
    model = chance.choice(("cnn", "consensus", "photograph", "photograph"))
    path = f"/v2/models/{model}{chance.choice(('', '/versions/1'))}/infer"
    head, tail = tensor(chance, model)
    names = chance.choice(([], ["digit"], ["probabilities"], ["x"], ["digit"] * 150))
    outputs = [{"name": name, "parameters": {"binary_data": chance.choice((True, False, 1))}} for name in names]
    request: Any = {"id": "1", "inputs": [head], "outputs": outputs}
    if chance.random() < 0.4:
        request = spoil(request, chance)
    text = json.dumps(request).encode()
    if chance.random() < 0.03:
        text = chance.choice((b'{"inputs":' + b"[" * 200_000, b"9" * 5_000_000, b'"' * 500_000, b"," * 9_000_000))
    headers = {JSON_LENGTH: str(len(text))} if tail else {}
    body = text + tail
    if chance.random() < 0.3:
        body = damage(body, chance)
    if chance.random() < 0.05:
        headers[JSON_LENGTH] = chance.choice(("", "-1", "9" * 30, "0", "1e3", "5"))
    if chance.random() < 0.3:
        encoding = chance.choice(("gzip", "deflate", "br"))
        body = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, bytes)(body)
        headers["Content-Encoding"] = encoding
        body = damage(body, chance) if chance.random() < 0.3 else body
        body = BOMB if chance.random() < 0.05 else body
    return path, body, headers


if __name__ == "__main__":
    sys.exit(main(__doc__, case))
