"""Connections to the OPA server, kept open, that do for a decision what it needs and no more.

A session of aiohttp builds of every call a URL, two sets of headers, a request and a response with
streams of their own: half a millisecond where the exchange itself takes the event loop a tenth
(`python -m bench.decision`). Here one write sends the question, and llhttp, a parser in C that
refuses whatever isn't strictly HTTP (`httptools`), reads the answer.

A connection carries one question at a time. Whoever leaves before the answer is whole, for a
deadline or a cancelled call, ends the connection with it, and so does a server that says more than
it was asked: no answer is ever taken for that of another question.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

# An answer with its head; as much as the embedded engine takes.
MAX_ANSWER_BYTES = 1 << 20
_MOST_CONNECTIONS = 100


class AnswerError(ValueError):
    """What came is not one whole HTTP answer of bearable size."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Args:
        status: HTTP status.
        kind: The `Content-Type`, as it stands there.
        body: The bytes of the body.
    """

    status: int
    kind: bytes
    body: bytes


class Connections:
    """A pool of connections to one server. Used by one event loop.

    Args:
        host: Host name or address of the server.
        port: Its port.
        tls: How to know the server and to be known by it, or None for plain HTTP.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._slots = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._closed = False

    async def ask(self, request: bytes) -> Answer:
        """Send the bytes of one request and return its answer.

        A server may end a kept connection just as it is used again. Such a question, of which
        nothing was answered, is asked once more, on a connection of its own.

        Raises:
            OSError: The server can't be reached, or went away without answering.
            AnswerError: It answered with something else than one whole answer.
        """
        async with self._slots:
            if self._idle:
                try:
                    return await self._exchange(self._idle.pop(), request)
                except ConnectionResetError:
                    pass
            return await self._exchange(await self._connect(), request)

    async def close(self) -> None:
        """End all connections; questions not answered yet fail."""
        self._closed = True
        ending = list(self._open)
        for connection in ending:
            connection.end()
        await asyncio.gather(*(connection.ended for connection in ending))

    async def _exchange(self, connection: "_Connection", request: bytes) -> Answer:
        answer = await connection.ask(request)
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.end()
        return answer

    async def _connect(self) -> "_Connection":
        if self._closed:
            raise ConnectionAbortedError("these connections are closed")
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self._lost), self._host, self._port, ssl=self._tls
        )
        if self._closed:  # meanwhile
            connection.end()
            raise ConnectionAbortedError("these connections are closed")
        if connection.usable:  # not ended as soon as it was made
            self._open.add(connection)
        return connection

    def _lost(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


class _Connection(asyncio.Protocol):
    """One connection. Its methods named `on_...` are called by the parser."""

    def __init__(self, lost: Callable[["_Connection"], None]) -> None:
        self._lost = lost
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.usable = True  # for another question
        self._waiting: asyncio.Future[Answer] | None = None
        self._forget()

    def _forget(self) -> None:
        self._received = self._messages = 0
        self._kind = b""
        self._body: list[bytes] = []
        self._answer: Answer | None = None

    async def ask(self, request: bytes) -> Answer:
        if self.ended.done():
            raise ConnectionResetError("the connection ended before it was used")
        self._forget()
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        except BaseException:
            # Cancelled calls come by here too, also those whose answer is whole by now.
            self.end()
            raise
        finally:
            self._waiting = None

    def end(self) -> None:
        self.usable = False
        self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.end()  # nobody asked
            return
        self._received += len(data)
        if self._received > MAX_ANSWER_BYTES:
            self._fail(AnswerError("the answer is larger than the limit"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(AnswerError("the answer is not HTTP"), error)
            return
        if self._messages > 1:
            self._fail(AnswerError("there is more than one answer"))
        elif self._answer is not None:
            self._waiting.set_result(self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._lost(self)
        self.ended.set_result(None)
        if self._received:
            self._fail(AnswerError("the answer was cut short"), exc)
        else:
            self._fail(ConnectionResetError("the connection ended without an answer"), exc)

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._messages += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._kind = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.usable = self._parser.should_keep_alive()
        self._answer = Answer(self._parser.get_status_code(), self._kind, b"".join(self._body))

    def _fail(self, error: Exception, cause: BaseException | None = None) -> None:
        if self._waiting is not None and not self._waiting.done():
            error.__cause__ = cause
            self._waiting.set_exception(error)
        self.end()
