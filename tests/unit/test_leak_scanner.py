"""The leak scanner finds what it must: each encoding is planted on its own."""

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.kit.leaks import ENCODINGS, Needles, in_files

SECRET = 'Zq7/opaque+token=value&"x"\'1 '
PLANTED = {
    "plain": SECRET,
    "upper case": SECRET.upper(),
    "lower case": SECRET.lower(),
    "URL": quote(SECRET, safe=""),
    "URL twice": quote(quote(SECRET, safe=""), safe=""),
    "form": quote_plus(SECRET),
    "JSON": json.dumps({"k": SECRET}),
    "HTML": html.escape(SECRET),
    "hexadecimal": SECRET.encode().hex(),
    "base64": base64.b64encode(b"id" + SECRET.encode() + b"more").decode(),
    "base64url": base64.urlsafe_b64encode(b"x" + SECRET.encode() + b"??>>").decode(),
    "halves": SECRET[: len(SECRET) // 2] + "…",
}


@pytest.mark.parametrize("encoding", PLANTED)
def test_it_finds_each_of_the_twelve_encodings(encoding: str) -> None:
    found = Needles({"it": SECRET}).in_text(f"before{PLANTED[encoding]}after")
    assert f"it ({encoding})" in found or (encoding == "base64url" and found)


def test_twelve_encodings_are_planted() -> None:
    assert set(PLANTED) == set(ENCODINGS)
    assert len(PLANTED) == 12


def test_it_finds_wide_text_in_files_and_nothing_in_clean_ones(tmp_path: Path) -> None:
    (tmp_path / "wide.log").write_bytes(SECRET.encode("utf-16-le"))
    (tmp_path / "clean.log").write_text("nothing to see")
    (tmp_path / "left.out").write_text(SECRET)
    assert in_files(Needles({"it": SECRET}), tmp_path, but=r"left\.out$") == [
        f"{tmp_path}/wide.log: it (UTF-16)"
    ]
