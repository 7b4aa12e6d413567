"""The sandbox as a process: `python -m providers.bqe.sandbox.server`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from providers.bqe.sandbox.app import create_app
from providers.bqe.sandbox.state import Sandbox, SandboxConfig

STOP_AFTER_S = 2


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; prints one JSON line with the addresses when it listens.

    Returns 0 after a graceful stop and 1, with a sentence on stderr, when it cannot start.
    """
    args = _parser().parse_args(argv)
    config = SandboxConfig(
        state_file=args.state_file,
        records=args.records,
        latency_ms=args.latency_ms,
        quota=not args.no_quota,
        control=args.control,
        seed=args.seed,
        static_token=args.static_token,
        redirect_uris=tuple(args.redirect_uri),
    )
    try:
        listener = socket.create_server((args.host, args.port))
    except OSError as error:
        return _refuse(
            f"cannot listen on {args.host}:{args.port}: {error.strerror}. "
            "Choose another --port (0 = any free one) or stop what uses it."
        )
    with listener:
        url = f"http://{args.host}:{listener.getsockname()[1]}"
        try:
            sandbox = Sandbox(replace(config, public_url=url))
            sandbox.save()
        except OSError as error:
            return _refuse(f"cannot use the state file {args.state_file}: {error.strerror}.")
        except (msgspec.DecodeError, ValueError, KeyError, TypeError) as error:
            return _refuse(
                f"the state file {args.state_file} is not one of this sandbox ({error}). "
                "Delete it to start afresh."
            )
        sandbox.warm()
        gc.freeze()  # the portfolio lives as long as the process: keep the collector out of it
        asyncio.run(_serve(sandbox, listener, url))
        sandbox.save()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hub sandbox bqe", description="A stand-in for BQE CORE.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 = any free port")
    parser.add_argument("--state-file", type=Path, help="keep grants and changed data here")
    parser.add_argument("--records", type=int, help="a portfolio of this many plain projects")
    parser.add_argument("--latency-ms", type=int, default=0, help="delay of every API answer")
    parser.add_argument("--no-quota", action="store_true", help="no limit of requests a minute")
    parser.add_argument("--control", action="store_true", help="serve /__control")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--static-token", help="an access token for company A that always works")
    parser.add_argument(
        "--redirect-uri",
        action="append",
        default=[],
        help="registered exactly so; without any, loopback addresses ending in /callback",
    )
    parser.add_argument("--print-ready", action="store_true", help="the default; kept for scripts")
    return parser


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"sandbox: {sentence}\n")
    return 1


async def _serve(sandbox: Sandbox, listener: socket.socket, url: str) -> None:
    connections: dict[tuple[str, int], asyncio.Transport] = {}

    class Protocol(H11Protocol):
        """Remembers each connection by its peer, so that a fault can close it."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self.client or ("", 0), None)
            super().connection_lost(exc)

    def drop(peer: tuple[str, int]) -> None:
        connections[tuple(peer)].abort()  # type: ignore[index]  # the scope may hold a list

    server = _Server(
        uvicorn.Config(
            create_app(sandbox=sandbox, drop=drop),
            http=Protocol,
            log_level="critical",
            access_log=False,
            date_header=False,  # the app writes it, by the sandbox's clock
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_AFTER_S,
        ),
        url,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(RuntimeError, ValueError):  # not the main thread: no signals
            loop.add_signal_handler(number, server.stop)
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    def stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        ready = {"url": self._url, "identity": f"{self._url}/idp", "api": f"{self._url}/api"}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `main`: uvicorn would raise them again and spoil the exit status."""
        yield


if __name__ == "__main__":
    sys.exit(main())
