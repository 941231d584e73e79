"""LitServe: a process for HTTP, and one for each choice of networks, where requests that wait are answered together.

python -m benchmarks.peer_litserve --port 3000
"""

import argparse
from typing import Annotated, Any

import litserve
import numpy as np
from fastapi import Body

from benchmarks.peers import Answer, Networks, decode
from benchmarks.servers import HOST

BATCH = 16  # images of one run, at most
# Seconds for a batch to fill: without any, each idle process takes a whole core; with more, a single client waits.
WAIT = 0.001


class Digits(litserve.LitAPI):
    def __init__(self, choice: str) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=WAIT, api_path=f"/{choice}")
        self.choice = choice

    def setup(self, device: str) -> None:
        self.networks = Networks(self.choice)

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    apis: list[litserve.LitAPI] = [Digits("cnn"), Digits("all")]
    server = litserve.LitServer(apis, accelerator="cpu", healthcheck_path="/readyz")
    server.run(HOST, port, num_api_servers=1, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
