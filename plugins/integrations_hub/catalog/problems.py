"""What is wrong with a JSON document, readable: where, what was expected, what was found, what was meant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} members",
}
_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


Path = tuple["str | int", ...]


@dataclass(frozen=True)
class Problem:
    """`pointer` is a JSON pointer; a missing member is pointed at where it should stand."""

    pointer: str
    expected: str
    got: str
    hint: str = ""

    @property
    def text(self) -> str:
        """Without the pointer."""
        return f"expected {self.expected}; got {self.got}{self.hint}"


def schema_problems(schema: Mapping[str, Any], instance: Any) -> list[Problem]:
    """Every violation of `schema` (draft 2020-12), sorted by pointer."""
    from jsonschema import Draft202012Validator  # 0.1 s to import, and only loading needs it

    validator = Draft202012Validator(schema)
    found = {p for error in validator.iter_errors(instance) for p in _of(error)}
    return sorted(found, key=lambda problem: (problem.pointer, problem.expected))


def pointer_of(path: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value of a document with its path, the document itself first."""
    yield path, value
    if isinstance(value, dict):
        for name, member in value.items():
            yield from walk(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))


def one_of(value: Any, allowed: Sequence[str], pointer: str, what: str = "") -> Problem:
    """`value` is none of `allowed`; says which one was probably meant."""
    names = ", ".join(json.dumps(name) for name in allowed) or "none exist"
    expected = f"{what + ': ' if what else ''}{'one of ' if len(allowed) != 1 else ''}{names}"
    return Problem(pointer, expected, shown(value), _meant(value, allowed))


def shown(value: Any) -> str:
    """A value for a message: short, and containers by size only."""
    if isinstance(value, Mapping):
        return f"an object with {len(value)} members"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 80 else f"{text[:76]}..."


def _of(error: Any) -> Iterator[Problem]:
    pointer = pointer_of(error.absolute_path)
    rule, wanted, value = error.validator, error.validator_value, error.instance
    if rule == "required":
        yield from _missing(wanted, value, pointer)
    elif rule == "additionalProperties":
        yield from _unknown(error.schema, value, pointer)
    elif rule == "oneOf":
        yield from _choices(error, value, pointer)
    elif rule in ("enum", "const"):
        yield _not_allowed(value, wanted if rule == "enum" else [wanted], pointer)
    else:
        yield Problem(pointer, _expected(rule, wanted, error), shown(value))


def _not_allowed(value: Any, allowed: Sequence[Any], pointer: str) -> Problem:
    if all(isinstance(item, str) for item in allowed):
        return one_of(value, allowed, pointer)
    return Problem(pointer, " or ".join(shown(item) for item in allowed), shown(value))


def _expected(rule: str, wanted: Any, error: Any) -> str:
    if rule == "type":
        types = [wanted] if isinstance(wanted, str) else wanted
        return " or ".join(_TYPES[name] for name in types)
    if rule == "uniqueItems":
        return "no two equal items"
    if rule in _BOUNDS:
        return _BOUNDS[rule].format(wanted)
    return str(error.schema.get("x-expected", f"{rule} {wanted}"))


def _missing(names: Sequence[str], value: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    for name in names:
        if name not in value:
            close = _meant(name, [key for key in value if key not in names], "{} is there")
            yield Problem(f"{pointer}{pointer_of([name])}", "a value", "nothing", close)


def _unknown(
    schema: Mapping[str, Any], value: Mapping[str, Any], pointer: str
) -> Iterator[Problem]:
    known = list(schema.get("properties", {}))
    for name in value:
        if name not in known:
            there = f"{pointer}{pointer_of([name])}"
            yield one_of(name, known, there, "a known name")


def _choices(error: Any, value: Any, pointer: str) -> Iterator[Problem]:
    """The branch that the value was meant for speaks; without one, all are offered."""
    branches = error.validator_value
    if all("const" in branch for branch in branches):
        yield one_of(value, [str(branch["const"]) for branch in branches], pointer)
        return
    meant = [
        index
        for index, branch in enumerate(branches)
        if isinstance(value, Mapping) and set(branch.get("required", ())) & set(value)
    ]
    if len(meant) == 1:
        for inner in error.context:
            if inner.schema_path[0] == meant[0]:
                yield from _of(inner)
        return
    names = " or ".join(" and ".join(branch["required"]) for branch in branches)
    yield Problem(pointer, f"an object with either {names}", shown(value))


def _meant(value: Any, allowed: Sequence[str], phrase: str = "did you mean {}?") -> str:
    close = get_close_matches(value, allowed, n=1) if isinstance(value, str) else []
    return f" ({phrase.format(json.dumps(close[0]))})" if close else ""
