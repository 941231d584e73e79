"""The server's end of a connection, which limits the size and the time of a request's head and the time of its answer.

uvicorn has no such limit for httptools (https://github.com/Kludex/uvicorn/pull/1684), and the parser keeps everything
that it has read of a head until the head ends: 64 MB of headers took 690 MB of memory, and one header of 48 MB stopped
all answers for 2.7 s. An application sees a request only after its head has been parsed, so the limit must be here.

uvicorn accepts such a class as `uvicorn.Config(http=...)`. BentoML 1.4.39 creates that object itself and leaves `http`
at "auto", so `install` enters the class under that name in uvicorn's table of protocols.
"""

import asyncio
import json
from http import HTTPStatus

from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD = 32_768  # bytes of request line and headers, or of the trailers of a chunked body
HEAD_TIMEOUT = 10.0  # seconds from the first byte of a request, or from the connection, to the end of its head
WRITE_TIMEOUT = 30.0  # seconds in which a client has to read what is ready for it, at most 64 kB: 2 kB a second
LINGER = 2.0  # seconds that a client gets to read a refusal that it receives before it has sent everything


def install() -> None:
    """Make BentoML's workers serve with `LimitedHeadProtocol`."""
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{LimitedProtocol.__name__}"


class LimitedProtocol(HttpToolsProtocol):
    """Closes the connection with 431 above MAX_HEAD, with 408 after HEAD_TIMEOUT, and silently after WRITE_TIMEOUT.

    It counts the bytes since the last complete head or the last part of a body. They are part of a head, a trailer or
    the frame of a chunk. If a head arrives in the same read as the end of the previous body, counting starts with the
    next read.
    """

    _pending = 0  # bytes since the last complete head or the last part of a body
    _in_head = True
    _refused = False
    _timer: asyncio.TimerHandle | None = None  # of the head
    _writing: asyncio.TimerHandle | None = None
    _open: tuple[RequestResponseCycle, ...] = ()  # requests that are not answered yet, pipelined ones included

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_writing()
        self._abandon()
        super().connection_lost(exc)

    def _abandon(self) -> None:
        """Tell all requests of this connection that their client is gone.

        uvicorn tells the newest alone. Others were answered into a closed connection: each wrote a traceback of 1 kB.
        """
        self.pipeline.clear()
        for cycle in self._open:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self._open = ()

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        room = MAX_HEAD - self._pending
        first, rest = data[:room], data[room:]
        self._pending += len(first)
        super().data_received(first)
        if rest and not self.transport.is_closing():
            if self._pending == MAX_HEAD:  # the head is still incomplete
                sentence = f"The head of the request is larger than the limit of {MAX_HEAD} bytes."
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, sentence)
                return
            super().data_received(rest)
        if self._in_head and self._pending and self._timer is None:
            self._start_timer()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._pending, self._in_head = 0, False
        super().on_headers_complete()
        self._open = (*(cycle for cycle in self._open if not cycle.response_complete), self.cycle)

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending, self._in_head = 0, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._start_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._start_writing()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_writing()

    def resume_writing(self) -> None:
        self._stop_writing()
        super().resume_writing()
        if self.transport.is_closing():
            self._start_writing()

    def send_400_response(self, msg: str) -> None:
        self._abandon()
        self._refuse(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP.")

    def _start_writing(self) -> None:
        self._stop_writing()
        if self.transport.get_write_buffer_size():
            self._writing = self.loop.call_later(WRITE_TIMEOUT, self.transport.abort)

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _start_timer(self) -> None:
        late = f"The head of the request did not arrive within {HEAD_TIMEOUT:g} s."
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self._refuse, HTTPStatus.REQUEST_TIMEOUT, late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answer, and close the connection after LINGER: closing at once could reset it and lose the answer."""
        self._refused = True
        self._stop_timer()
        if self.cycle is not None and not self.cycle.response_complete:  # an answer to an earlier request is under way
            self.transport.close()
            return
        body = json.dumps({"error": sentence})
        head = f"HTTP/1.1 {status.value} {status.phrase}", "Content-Type: application/json", "Connection: close"
        self.transport.write("\r\n".join((*head, f"Content-Length: {len(body)}", "", body)).encode())
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)
