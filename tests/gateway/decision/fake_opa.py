"""A server on the loopback that reads requests as OPA does and answers what the test says."""

import asyncio
import ssl


def answer_of(body=b"{}", *, status=200, kind="application/json", more=""):
    """One whole answer, with its length."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}"
    return head.encode() + b"\r\n" + body


class FakeOpa:
    """Keeps its connections; remembers heads and bodies of what it was asked.

    `behave(writer, body)` is awaited for each request and may write, wait, or close.
    """

    def __init__(self, behave=None, tls: ssl.SSLContext | None = None):
        self.answer = answer_of()
        self.behave = behave or self.say
        self.tls = tls
        self.heads, self.bodies = [], []
        self.writers, self._tasks = [], set()

    @property
    def calls(self):
        return len(self.bodies)

    @property
    def connections(self):
        return len(self.writers)

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    async def say(self, writer, _body):
        writer.write(self.answer)

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.writers.append(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                body = await reader.readexactly(length)
                self.heads.append(head)
                self.bodies.append(body)
                await self.behave(writer, body)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
