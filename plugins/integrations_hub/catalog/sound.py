"""A document seen through the errors already found in it: broken parts read as absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations_hub.catalog.problems import pointer_of

_ABSENT = object()


class Sound:
    """`get` answers None for what is absent, broken, or (unless `partly`) holds something broken."""

    def __init__(
        self, document: Any, broken: Sequence[str], prefix: tuple[str | int, ...] = ()
    ) -> None:
        self._document = document
        self._broken = broken
        self._prefix = prefix

    def below(self, place: tuple[str | int, ...]) -> Sound:
        """The same view with `place` as its root."""
        return Sound(self._document, self._broken, (*self._prefix, *place))

    def pointer(self, *place: str | int) -> str:
        """The JSON pointer of `place` in the whole document."""
        return pointer_of((*self._prefix, *place))

    def get(self, *place: str | int, partly: bool = False) -> Any:
        """The sound value at `place`."""
        pointer = self.pointer(*place)
        for broken in self._broken:
            if broken == pointer or (not partly and broken.startswith(f"{pointer}/")):
                return None
        value = self._find(place)
        return None if value is _ABSENT else value

    def missing(self, *place: str | int) -> bool:
        """The member is not in the document at all (though its parent is)."""
        parent = self._find(place[:-1])
        return isinstance(parent, Mapping) and place[-1] not in parent

    def _find(self, place: tuple[str | int, ...]) -> Any:
        value = self._document
        for part in (*self._prefix, *place):
            inside = isinstance(value, Mapping) and part in value
            if not inside and not (
                isinstance(value, list) and isinstance(part, int) and part < len(value)
            ):
                return _ABSENT
            value = value[part]
        return value
