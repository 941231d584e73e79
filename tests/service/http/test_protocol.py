"""Connections to uvicorn with our protocol: request heads that are too large, too slow, or just allowed."""

import asyncio
import contextlib
import json
import logging

import pytest
import uvicorn
import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.http import protocol
from service.http.protocol import MAX_HEAD, LimitedProtocol

TOO_LARGE = (431, {"error": "The head of the request is larger than the limit of 32768 bytes."})
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
PATIENCE = 20  # seconds for what has to happen by itself


async def echo(scope, receive, send):
    """Answers with the number of headers and the length of the body."""
    if scope["type"] == "http":
        request = Request(scope, receive)
        body = len(await request.body())
        await JSONResponse([len(request.headers), body])(scope, receive, send)


def talk(conversation, app=echo):
    """The result of `conversation(reader, writer)` with our server, whose event loop is BentoML's, at the other end."""

    async def main():
        config = uvicorn.Config(app, http=LimitedProtocol, lifespan="off", log_config=None)
        config.load()
        state = uvicorn.server.ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: LimitedProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            async with asyncio.timeout(PATIENCE):
                return await conversation(reader, writer)
        finally:
            writer.close()
            server.close()
            for connection in list(state.connections):
                connection.transport.abort()

    return uvloop.run(main())


async def answer(reader):
    """The next answer, as its status and its JSON."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head[9:12]), json.loads(await reader.readexactly(length))


def sent(*parts):
    """A conversation: the first answer after these parts were sent, and whether the connection ends with it."""

    async def conversation(reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await answer(reader), await reader.read(1) == b""

    return conversation


def head_of(size, end=b"\r\n\r\n"):
    """The head of a GET with so many bytes, most of them in one header."""
    return GET + b"A: " + bytes(size - len(GET) - 3 - len(end)).replace(b"\0", b"a") + end


BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000)
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "request_, read",
    [(head_of(MAX_HEAD), 0), (BODY, 1_000_000), (CHUNKED + b"1;a=b\r\nx\r\n" * 50_000 + b"0\r\n\r\n", 50_000)],
    ids=["head of exactly the limit", "large body", "many small chunks"],
)
def test_only_the_head_of_each_request_of_a_connection_is_limited(request_, read):
    async def conversation(reader, writer):
        answers = []
        for _ in range(2):
            writer.write(request_)
            answers.append(await answer(reader))
        return answers

    assert talk(conversation) == [(200, [2, read])] * 2


@pytest.mark.parametrize(
    "parts",
    [
        [head_of(MAX_HEAD + 1)],
        [head_of(10_000_000)],
        [GET, *[b"A: b\r\n" * 1_000] * 20],
        [b"GET /" + b"a" * 100_000],
        [b"\r\n" * 20_000],
    ],
    ids=["one byte too many", "one header", "many headers", "path", "empty lines"],
)
def test_head_above_the_limit_is_431_and_ends_the_connection(parts):
    """Bug: 64 MB of headers took 690 MB, one header of 48 MB 2.7 s."""
    assert talk(sent(*parts)) == (TOO_LARGE, True)


def test_trailers_of_a_chunked_body_are_limited_too():
    async def conversation(reader, writer):
        writer.write(CHUNKED + b"1\r\nx\r\n0\r\n")
        with pytest.raises(ConnectionError):
            while True:
                writer.write(b"A: b\r\n" * 100)
                await writer.drain()

    talk(conversation)


@pytest.mark.parametrize("parts", [[], [GET], [GET + b"\r\n", GET]], ids=["nothing", "a part", "after an answer"])
def test_head_that_does_not_arrive_is_408(monkeypatch, parts):
    """Bug: the server waited for the end of a head without a limit."""
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 0.1)

    async def conversation(reader, writer):
        for number, part in enumerate(parts):
            if number:
                await answer(reader)
            writer.write(part)
        return await answer(reader), await reader.read()

    late = (408, {"error": "The head of the request did not arrive within 0.1 s."})
    assert talk(conversation) == (late, b"")


@pytest.mark.parametrize("end", [b"", b"nonsense\r\n\r\n"], ids=["closed", "nonsense"])
def test_pipelined_requests_of_a_client_that_left_leave_nothing_in_the_log(caplog, end):
    """Bug: 496 bytes left 16 kB of tracebacks that end with "the handler is closed"."""
    answered = []

    async def slow(scope, receive, send):
        await asyncio.sleep(0.05)
        await JSONResponse(list(range(9_000)))(scope, receive, send)
        answered.append(1)

    async def conversation(reader, writer):
        writer.write((GET + b"\r\n") * 16 + end)
        await writer.drain()
        writer.transport.abort()
        await asyncio.sleep(0.3)

    talk(conversation, slow)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert len(answered) <= 1


def test_client_that_does_not_read_its_answer_is_dropped(monkeypatch):
    """Bug: an answer that nobody read was kept for ever, with its connection."""
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT", 0.1)
    ended = []

    async def much(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})
        ended.append(1)

    async def conversation(reader, writer):
        writer.transport.pause_reading()
        writer.write(GET + b"\r\n")
        while not ended:
            await asyncio.sleep(0.01)
        writer.transport.resume_reading()
        got = 0
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(100_000):
                got += len(part)
        return got

    assert talk(conversation, much) < 100_000_000


def test_client_that_reads_slowly_gets_its_whole_answer(monkeypatch):
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT", PATIENCE)
    body = bytes(5_000_000)

    async def much(scope, receive, send):
        await Response(body)(scope, receive, send)

    async def conversation(reader, writer):
        writer.write(GET + b"Connection: close\r\n\r\n")
        await asyncio.sleep(0.2)
        return await reader.read()

    assert talk(conversation, much).endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "bad",
    [b"\0" * 99, b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ids=["zeros", "two lengths"],
)
def test_what_is_not_http_is_400(bad):
    assert talk(sent(bad)) == ((400, {"error": "The request is not valid HTTP."}), True)
