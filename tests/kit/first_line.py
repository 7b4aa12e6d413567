"""What a server says once it takes requests."""

from __future__ import annotations

import select
import subprocess
from typing import IO


def first_line(process: subprocess.Popen[bytes], errors: IO[bytes], name: str, start_s: int) -> str:
    """The first line on stdout. Raises RuntimeError with the end of `errors` when none comes in time."""
    stdout = process.stdout
    assert stdout is not None
    ready, _, _ = select.select([stdout], [], [], start_s)
    line = stdout.readline().decode() if ready else ""
    if not line:
        errors.seek(0)
        said = errors.read().decode(errors="replace")[-2000:]
        raise RuntimeError(f"{name} did not start within {start_s} s: {said}")
    return line
