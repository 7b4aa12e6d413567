"""Every behaviour that is a guess, as a named switch that control can set (listed in README.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from providers.bqe.sandbox.where import OPTIONAL_OPERATORS


class UnknownSwitchError(Exception):
    """No such switch, or a value of another type."""


@dataclass
class Switches:
    """The values in force; a new instance holds the defaults."""

    # identity
    reuse_revokes_family: bool = False
    refresh_tokens: str = "rotate"
    pkce_replaces_secret: bool = True
    expires_in: int = 3600
    code_lifetime_s: int = 300
    endpoint_form: str = "slash"
    auto_consent: str = ""
    # listing
    operators: list[str] = field(default_factory=lambda: list(OPTIONAL_OPERATORS))
    null_guid_hidden: bool = False
    page_overflow: str = "cap"
    count_shape: str = "array"
    legacy_errors: bool = False
    shift_dates: bool = False
    # who may see what
    visible_percent: int = 100
    denied: list[str] = field(default_factory=list)
    sec_module: list[str] = field(default_factory=list)
    unsubscribed: list[str] = field(default_factory=list)
    # quota and speed
    quota_per_minute: int = 100
    quota_scope: str = "app"
    quota_window: str = "fixed"
    latency_ms: int = 0

    def reset(self) -> None:
        """Back to the defaults, in place: others hold this object."""
        vars(self).update(vars(Switches()))

    def set(self, values: Mapping[str, Any]) -> None:
        """Set all `values` or, when one is unknown or of another type, none of them.

        `operators` also takes {"is null": false}: the ones named change, the others stay.
        """
        prepared: dict[str, Any] = {}
        known = {one.name for one in fields(self)}
        for name, given in values.items():
            if name not in known:
                raise UnknownSwitchError(
                    f"no switch {name!r}; there are {', '.join(sorted(known))}"
                )
            value = given
            if name == "operators" and isinstance(given, Mapping):
                merged = {**dict.fromkeys(self.operators, True), **given}
                value = [operator for operator in OPTIONAL_OPERATORS if merged.get(operator)]
            wanted = type(getattr(self, name))
            if type(value) is not wanted:
                raise UnknownSwitchError(f"switch {name!r} takes {wanted.__name__}, got {value!r}")
            prepared[name] = value
        for name, value in prepared.items():
            setattr(self, name, value)
