"""LitServe: a process for HTTP, and one for each choice of networks, where requests that wait are answered together.

python -m benchmarks.peers.with_litserve --port 3000
"""

import argparse
from collections.abc import Sequence
from typing import Annotated, Any

import litserve
import numpy as np
from fastapi import Body

from benchmarks.peers.naive import CHOICES, Answer, Networks, decode

BATCH = 16  # images of one run, at most
# Seconds for a batch to fill: without any, each idle process takes a whole core; with more, a single client waits.
WAIT = 0.001


class Digits(litserve.LitAPI):
    def __init__(self, names: Sequence[str], path: str) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=WAIT, api_path=path)
        self.names = names

    def setup(self, device: str) -> None:
        self.networks = Networks(self.names)

    def decode_request(self, request: Annotated[bytes, Body()], **kwargs: Any) -> np.ndarray:
        return decode(request)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, x: np.ndarray, **kwargs: Any) -> list[Answer]:
        return self.networks.answers(x)

    def unbatch(self, output: list[Answer]) -> list[Answer]:
        return output

    def encode_response(self, output: Answer, **kwargs: Any) -> Answer:
        return output


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    apis: list[litserve.LitAPI] = [Digits(names, f"/{choice}") for choice, names in CHOICES.items()]
    server = litserve.LitServer(apis, accelerator="cpu", healthcheck_path="/readyz")
    server.run("127.0.0.1", port, num_api_servers=1, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
