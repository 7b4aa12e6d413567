"""A TCP proxy before PostgreSQL that loses what a client is told about its COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from urllib.parse import urlsplit, urlunsplit

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class CommitProxy:
    """Between a worker and its database; `arm(n, how)` spoils the n-th COMMIT from now on.

    how: `unanswered` (committed, the answer is swallowed and the connection cut) or `unsent` (cut before
    the server hears of it).
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._left, self._how = 0, ""
        self.spoilt = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        serve = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(serve, self._loop).result()
        self.port = int(self._server.sockets[0].getsockname()[1])

    def url(self, url: str) -> str:
        """The same database through this proxy."""
        parts = urlsplit(url)
        place = f"{parts.username}:{parts.password}@127.0.0.1:{self.port}"
        return urlunsplit(parts._replace(netloc=place))

    def arm(self, nth: int, how: str) -> None:
        """0 disarms."""
        self._left, self._how = nth, how

    def stop(self) -> None:
        """Cut every connection."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            theirs, to_server = await asyncio.open_connection(self._host, self._port)
            try:
                await self._relay(reader, writer, theirs, to_server)
            finally:
                to_server.transport.abort()
        except OSError:
            pass  # the server is down or a side is gone: the client sees a cut connection
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        theirs: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        back = asyncio.create_task(_copy(theirs, writer))
        try:
            while data := await reader.read(65536):
                if COMMIT in data and self._is_the_one():
                    if self._how == "unanswered":
                        back.cancel()
                        with contextlib.suppress(asyncio.CancelledError):
                            await back
                        to_server.write(data)
                        await theirs.read(65536)
                    return
                to_server.write(data)
                await to_server.drain()
        finally:
            back.cancel()

    def _is_the_one(self) -> bool:
        self._left -= 1
        self.spoilt += self._left == 0
        return self._left == 0


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
