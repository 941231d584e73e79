"""A closed loop: so many connections, each sends its next request when the last answer is there.

Why not an established generator: those that a Python environment can install round to a millisecond (Locust) or cost
more per request than what is measured (httpx); wrk and its like have to come from elsewhere. This one keeps connections
open, sends bytes made beforehand, and runs in a process of its own.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any

PATIENCE = 60.0  # seconds for an answer
PAUSE = 0.05  # seconds after a lost connection


def request(path: str, body: bytes, content_type: str, host: str) -> bytes:
    """The bytes of a POST."""
    head = f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"
    return "\r\n".join((*head, "", "")).encode() + body


def measure(
    host: str, port: int, messages: Sequence[bytes], connections: int, seconds: float, warm_up: float
) -> dict[str, Any]:
    """Load the service from another process: each connection goes through `messages` from a place of its own.

    Returns {"milliseconds": [...] of the answers with status 200, "statuses": {status, or name of an error: count}},
    both without those of the warm-up, and "answers", the number of all requests, with those of the warm-up.
    """
    context = multiprocessing.get_context("spawn")  # no copy of what is open here
    with context.Pool(1) as pool:
        return pool.apply(_run, (host, port, messages, connections, seconds, warm_up))


def _run(
    host: str, port: int, messages: Sequence[bytes], connections: int, seconds: float, warm_up: float
) -> dict[str, Any]:
    return asyncio.run(_load(host, port, messages, connections, seconds, warm_up))


async def _load(
    host: str, port: int, messages: Sequence[bytes], connections: int, seconds: float, warm_up: float
) -> dict[str, Any]:
    begin = time.perf_counter() + warm_up
    turns = [islice(cycle(messages), len(messages) * i // connections, None) for i in range(connections)]
    results = await asyncio.gather(*(_loop(host, port, turn, begin, begin + seconds) for turn in turns))
    milliseconds = [value for times, _, _ in results for value in times]
    statuses: Counter[int | str] = sum((counts for _, counts, _ in results), Counter())
    answers = sum(count for _, _, count in results)
    return {"milliseconds": milliseconds, "statuses": dict(statuses), "answers": answers}


async def _loop(
    host: str, port: int, messages: Iterator[bytes], begin: float, end: float
) -> tuple[list[float], Counter[int | str], int]:
    """One connection. An answer counts if it came between begin and end; the last figure is the number of all."""
    answers = 0
    times: list[float] = []
    statuses: Counter[int | str] = Counter()
    status: int | str
    streams = None
    while (start := time.perf_counter()) < end:
        try:
            streams = streams or await asyncio.open_connection(host, port)
            status, closes = await _exchange(*streams, next(messages))
            if closes:
                streams[1].close()
                streams = None
        except (OSError, EOFError, asyncio.LimitOverrunError, IndexError) as error:  # lost, late or no HTTP
            status = type(error).__name__
            if streams:
                streams[1].close()
            streams = None
            await asyncio.sleep(PAUSE)
        now, answers = time.perf_counter(), answers + 1
        if begin <= now < end:
            statuses[status] += 1
            if status == 200:
                times.append((now - start) * 1e3)
    if streams:
        streams[1].close()
    return times, statuses, answers


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> tuple[int, bool]:
    """Send one request and read its answer. Returns its status and whether the connection ends with it.

    Raises TimeoutError, an OSError, after PATIENCE.
    """
    async with asyncio.timeout(PATIENCE):
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    return int(head[9:12]), b"\r\nconnection: close\r\n" in head
