"""Reading an answer's body with a size cap and a total deadline."""

from __future__ import annotations

import requests
from urllib3.exceptions import ProtocolError

from integrations_hub.errors import ProviderContractError
from integrations_hub.ports.outside import Clock

MAX_BODY_BYTES = 20 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


def read_body(
    response: requests.Response, clock: Clock, deadline: float, *, max_bytes: int = MAX_BODY_BYTES
) -> bytes:
    """The decompressed body of a streamed answer.

    `deadline`: on clock.monotonic(). A read returns whatever has come (read1), so a server that
    sends one byte a second cannot hold us longer. Raises urllib3 errors for broken or late bodies,
    ProviderContractError above `max_bytes`.
    """
    parts: list[bytes] = []
    size = 0
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        parts.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise ProviderContractError(
                f"The answer is larger than {max_bytes // 1024 // 1024} MB after decompression.",
                hint="Choose a smaller page size or fewer fields.",
                code="RESPONSE_TOO_LARGE",
            )
        if clock.monotonic() > deadline:
            raise ProtocolError("the body did not end before the deadline")
    return b"".join(parts)
