"""What provider.json must hold beyond its schema: names that exist, hosts that are pinned, patterns that compile.

A check looks only at parts that the schema found sound, so that every error is reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from integrations_hub.catalog.object_checks import object_problems
from integrations_hub.catalog.problems import Problem, one_of, pointer_of, shown, walk
from integrations_hub.catalog.sound import Sound

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def semantic_problems(raw: Mapping[str, Any], schema_problems: Sequence[Problem]) -> list[Problem]:
    """Every violation that the schema cannot express."""
    sound = Sound(raw, [problem.pointer for problem in schema_problems])
    found = [problem for check in _CHECKS for problem in check(sound)]
    objects = raw.get("objects")
    for key in objects if isinstance(objects, dict) else ():
        found.extend(object_problems(sound.below(("objects", key))))
    return found


def _flow_members(sound: Sound) -> Iterator[Problem]:
    flows = sound.get("oauth", "flows") or []
    pkce = sound.get("oauth", "pkce")
    if "authorization_code" in flows and sound.missing("oauth", "authorizePath"):
        pointer = sound.pointer("oauth", "authorizePath")
        yield Problem(pointer, "a path, because flows lists authorization_code", "nothing")
    if flows and pkce and "authorization_code" not in flows:
        yield Problem(
            sound.pointer("oauth", "pkce"), "null without the flow authorization_code", shown(pkce)
        )


def _hosts(sound: Sound) -> Iterator[Problem]:
    allowed = sound.get("oauth", "allowedHosts")
    variants = sound.get("baseUrlVariants", partly=True) or {}
    places: list[tuple[str | int, ...]] = [("oauth", "authBaseUrl")]
    places += [("baseUrlVariants", key, "url") for key in variants]
    for place in places:
        url = sound.get(*place)
        if isinstance(url, str):
            yield from _url_problems(url, allowed, sound.pointer(*place))


def _url_problems(url: str, allowed: Sequence[str] | None, pointer: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        yield Problem(pointer, "an address that can be read", shown(url))
        return
    if parts.scheme != "https" and host not in _LOOPBACK:
        yield Problem(pointer, "https (plain http is for loopback only)", shown(url))
    if allowed is not None and not any(_fits(entry, host, port) for entry in allowed):
        names = ", ".join(allowed)
        yield Problem(pointer, f"a host that /oauth/allowedHosts lists ({names})", shown(host))


def _fits(entry: str, host: str, port: int | None) -> bool:
    name, _, wanted = entry.partition(":")
    if wanted and str(port) != wanted:
        return False
    if not wanted and port not in (None, 443) and host not in _LOOPBACK:
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def _patterns(sound: Sound) -> Iterator[Problem]:
    for index in range(len(sound.get("errors", partly=True) or [])):
        for name in ("keyPattern", "messagePattern"):
            pattern = sound.get("errors", index, name)
            if not isinstance(pattern, str):
                continue
            try:
                re.compile(pattern)
            except re.error as error:
                pointer = sound.pointer("errors", index, name)
                yield Problem(pointer, f"a regular expression ({error})", shown(pattern))


def _error_order(sound: Sound) -> Iterator[Problem]:
    """A rule behind one that matches every answer of its status would never speak."""
    catch_all: dict[int, int] = {}
    for index in range(len(sound.get("errors", partly=True) or [])):
        rule = sound.get("errors", index)
        if rule is None:
            continue
        status = rule["status"]
        if status in catch_all:
            expected = f"a place before /errors/{catch_all[status]}, which matches every {status}"
            yield Problem(sound.pointer("errors", index), expected, "a rule that is never reached")
        elif "keyPattern" not in rule and "messagePattern" not in rule:
            catch_all[status] = index


def _header_sources(sound: Sound) -> Iterator[Problem]:
    seen: set[str] = set()
    for index in range(len(sound.get("requiredHeaders", partly=True) or [])):
        place = ("requiredHeaders", index)
        if sound.get(*place, "source") == "env" and sound.missing(*place, "envKey"):
            yield Problem(
                sound.pointer(*place, "envKey"), "a variable name, because source is env", "nothing"
            )
        key = sound.get(*place, "key")
        if isinstance(key, str) and key.lower() in seen:
            yield Problem(sound.pointer(*place, "key"), "each header once", shown(key))
        seen.add(str(key).lower())


def _page_size(sound: Sound) -> Iterator[Problem]:
    size, most = sound.get("paging", "size"), sound.get("paging", "maxSize")
    if size is not None and most is not None and size > most:
        yield Problem(sound.pointer("paging", "size"), f"at most maxSize ({most})", shown(size))


def _evidence_names(sound: Sound) -> Iterator[Problem]:
    for group in ("oauth", "rateLimits", "paging", "http"):
        marks, members = sound.get(group, "evidence"), sound.get(group, partly=True)
        if marks is None or members is None:
            continue
        names = [name for name in members if name != "evidence"]
        for name in marks:
            if name not in names:
                yield one_of(name, names, sound.pointer(group, "evidence", name))


def control_characters(raw: Any) -> Iterator[Problem]:
    """Texts and names with a character that no name, path, host or message may carry."""
    for path, value in walk(raw):
        if isinstance(value, str) and _CONTROL.search(value):
            yield Problem(pointer_of(path), "a text without control characters", shown(value))
        for name in value if isinstance(value, dict) else ():
            if _CONTROL.search(name):
                yield Problem(pointer_of(path), "names without control characters", shown(name))


_CHECKS: tuple[Callable[[Sound], Iterator[Problem]], ...] = (
    _flow_members,
    _hosts,
    _patterns,
    _error_order,
    _header_sources,
    _page_size,
    _evidence_names,
)
