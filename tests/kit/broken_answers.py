"""Answers of a scripted server that break, or come too slowly."""

from __future__ import annotations

import socket
import time


def cut(handler):
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[1,"
    )
    handler.close_connection = True


def cut_chunk(handler):
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n[1,"
    )
    handler.close_connection = True


def reset(handler):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[1,"
    )
    handler.connection.close()
    handler.close_connection = True


def hang_up(handler):
    handler.close_connection = True


def drip(handler):
    """A complete body, a byte at a time; no single read waits long."""
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 103\r\n\r\n"
    )
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.02)
    handler.wfile.write(b"[1]")
