"""Answers to plans of changes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Seq = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Approval(BaseModel):
    """`changes`: numbers of the rows to apply, null = every row that needs no review."""

    model_config = ConfigDict(extra="forbid")

    changes: Annotated[list[_Seq] | None, Field(min_length=1, max_length=100_000)] = None


class Undo(BaseModel):
    """`dry_run`: plan the undo, write nothing; the plan can be approved like any other."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = False
