"""One line of a mapping, as data: what it reads, how it converts, which column it fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldMap:
    """`source` (a provider field of `source_type`) fills column `target`.

    Steps apply in this order, each only where the line asks for it: join `source` and the fields of
    `also` (name, type) by `separator`, leaving out empty ones; read a day by `date_in`; write it by
    `date_out` (strftime forms); round a number to `decimals`; trim; translate by `values`, with
    `unknown` for what they lack; `case`; `default` when nothing is left. A `constant` reads nothing.
    """

    source: str
    source_type: str
    target: str
    required: bool = False
    values: Mapping[str, str] | None = None
    unknown: str | None = "keep_local"  # keep_local | reject | null
    also: tuple[tuple[str, str], ...] = ()
    separator: str = " "
    trim: bool = False
    case: str | None = None  # upper | lower | title
    date_in: str | None = None
    date_out: str | None = None
    decimals: int | None = None
    default: str | None = None
    constant: str | None = None

    def __post_init__(self) -> None:
        """A line read back from JSON holds lists."""
        object.__setattr__(self, "also", tuple((name, kind) for name, kind in self.also))

    @property
    def reads(self) -> tuple[str, ...]:
        """Provider fields that the line needs."""
        if self.constant is not None:
            return ()
        return (self.source, *(name for name, _ in self.also))

    @property
    def plain(self) -> bool:
        """Whether the value is taken as it is: no step but the column's own checks."""
        steps = (self.values, self.case, self.date_in, self.date_out, self.decimals, self.default)
        return not self.also and not self.trim and all(step is None for step in steps)
