"""Refuses secrets in the tree and in every file ever committed: `python .ci/secret_scan.py [folder]`.

The formats of known services are detect-secrets' own. To those it adds what this repository would leak: assignments
without quotes (.env, compose) and long random text (Fernet keys, tokens). There is no baseline: a value counts as
made up when it says so, that is, when it is only words or calls itself a canary, a sandbox or an example.

Values are never printed. What history was scanned is remembered in the git folder by blob id, for these very rules.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from detect_secrets.core.plugins import initialize
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import default_settings

# Exact values that only look real. Keep it tiny: a new test names its value "...-canary" instead.
ALLOWED = {
    "s3cr3t-Value_9": "tests/unit/domain/test_redaction.py: what the redaction must hide",
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk": "RFC 7636, appendix B: the published verifier",
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM": "RFC 7636, appendix B: the published challenge",
}
_SAYS_SO = re.compile(r"canary|sandbox|example|hidden|made.?up", re.IGNORECASE)
_WORDS = re.compile(r"[a-z]*([-_./: ][a-z]*)*|[A-Za-z_]+(\.[A-Za-z_]+)+|.*[\s{}<>$`()].*|\W*")
_ASSIGNED = re.compile(
    r"^\s*(?:export\s+|- )?[A-Za-z_]*(?:secret|password|token|api_?key|_key)[A-Za-z_]*\s*[:=]\s*(?=\S*\d)([^\s\"'#,()]{8,})\s*(?:#.*)?$",
    re.IGNORECASE,
)
_RUN = re.compile(
    r"(?<![A-Za-z0-9+/_=.-])(?!sha\d+-)[A-Za-z0-9+/_-]{32,}={0,2}(?![A-Za-z0-9+/_=-])"
)
_RANDOM_BITS = 4.2
_BY_NAME = ("KeywordDetector", "BasicAuthDetector")
_NOISY = ("Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector")
_BINARY_AFTER = 8000

Check = Callable[[str], Iterable[str]]


class Finding(NamedTuple):
    """Where, and what kind; never the value."""

    place: str
    line: int
    kind: str


def main(folder: Path) -> int:
    """Exit code 1 when anything is found."""
    memory = folder / _git(folder, "rev-parse", "--git-path", "secret-scan.json").decode().strip()
    clean = _remembered(memory)
    scan = Scan(_checks(), {})
    found = []
    for place, blob, content in [*_tree(folder), *_history(folder, clean)]:
        if blob in clean:
            continue
        here = scan.findings(place, _text(content))
        found += here
        if not here:
            clean.add(blob)
    memory.write_text(json.dumps({"rules": _rules(), "clean": sorted(clean)}), encoding="utf-8")
    for finding in sorted(set(found)):
        sys.stdout.write(f"{finding.place}:{finding.line}: {finding.kind}\n")
    if found:
        sys.stdout.write(
            "Secrets stand in the tree or in history. A real one: revoke it, then rewrite the commits that hold it. "
            'A made-up one: call it "...-canary".\n'
        )
    return 1 if found else 0


def _checks() -> list[tuple[str, Check]]:
    with default_settings():
        plugins = [
            initialize.from_secret_type(kind) for kind in get_mapping_from_secret_type_to_class()
        ]
    checks: list[tuple[str, Check]] = []
    for plugin in plugins:
        name = type(plugin).__name__
        if name in _BY_NAME:
            checks.append((plugin.secret_type, _unless_made_up(plugin.analyze_string)))
        elif name not in _NOISY:
            checks.append((plugin.secret_type, plugin.analyze_string))
    checks.append(("Assigned secret", _unless_made_up(_ASSIGNED.findall)))
    return [*checks, ("Random text", _unless_made_up(_random_runs))]


def _unless_made_up(check: Check) -> Check:
    """For what is suspected by the name beside it or by its looks, not by the format of a known service."""
    return lambda line: [value for value in check(line) if not _is_made_up(value)]


def _random_runs(line: str) -> Iterator[str]:
    for run in _RUN.findall(line):
        kinds = (any(map(str.isupper, run)), any(map(str.islower, run)), any(map(str.isdigit, run)))
        if all(kinds) and _entropy(run) >= _RANDOM_BITS:
            yield run


def _entropy(text: str) -> float:
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def _is_made_up(value: str) -> bool:
    return value in ALLOWED or bool(_SAYS_SO.search(value) or _WORDS.fullmatch(value))


@dataclass
class Scan:
    """`_seen`: kind found in a line, by the line; most of history repeats itself."""

    checks: list[tuple[str, Check]]
    _seen: dict[str, str]

    def findings(self, place: str, text: str) -> list[Finding]:
        """Line by line, the first kind of each."""
        kinds = [self._kind(line) for line in text.splitlines()]
        return [Finding(place, number, kind) for number, kind in enumerate(kinds, start=1) if kind]

    def _kind(self, line: str) -> str:
        if line not in self._seen:
            bad = (kind for kind, check in self.checks if any(True for _ in check(line)))
            self._seen[line] = next(bad, "")
        return self._seen[line]


def _tree(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """(place, blob id, content) of what is tracked or could be: ignored files are no part of the repository."""
    names = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode()
    for name in filter(None, names.split("\0")):
        path = folder / name
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            # git's own name of a content, so that tree and history share what is remembered
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
            yield name, blob.hexdigest(), content


def _history(folder: Path, clean: set[str]) -> Iterator[tuple[str, str, bytes]]:
    """The same of every file of every commit that HEAD descends from."""
    objects = _git(folder, "rev-list", "--objects", "HEAD").decode(errors="replace").splitlines()
    names = dict(line.split(" ", 1) for line in objects if " " in line)
    for blob, content in _blobs(folder, [blob for blob in names if blob not in clean]):
        yield f"history: {names[blob]} (blob {blob[:12]})", blob, content


def _blobs(folder: Path, ids: list[str]) -> Iterator[tuple[str, bytes]]:
    if not ids:
        return
    batch = _git(folder, "cat-file", "--batch", given="\n".join(ids).encode() + b"\n")
    place = 0
    while place < len(batch):
        header, _, _ = batch[place : place + 200].partition(b"\n")
        name, kind, size = header.decode().split()
        start = place + len(header) + 1
        if kind == "blob":
            yield name, batch[start : start + int(size)]
        place = start + int(size) + 1


def _text(content: bytes) -> str:
    return "" if b"\0" in content[:_BINARY_AFTER] else content.decode("utf-8", errors="replace")


def _remembered(memory: Path) -> set[str]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return set(known["clean"]) if known.get("rules") == _rules() else set()


def _rules() -> str:
    """Changes with this file and with detect-secrets: then everything is scanned anew."""
    version = importlib.metadata.version("detect-secrets")
    return hashlib.sha256(Path(__file__).read_bytes() + version.encode()).hexdigest()


def _git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], input=given, capture_output=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
