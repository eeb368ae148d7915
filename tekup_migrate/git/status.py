"""What differs between HEAD, the index and the work tree, as ``git status --porcelain=v2 -z`` tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Change(Enum):
    """How one path stands in the index or in the work tree; the value is git's letter."""

    NONE = "."
    MODIFIED = "M"
    TYPE_CHANGED = "T"
    ADDED = "A"
    DELETED = "D"
    RENAMED = "R"
    COPIED = "C"
    UNMERGED = "U"
    UNTRACKED = "?"


@dataclass(frozen=True)
class StatusEntry:
    """One path that is not as HEAD has it. ``path`` is relative to the repository's root, with "/".

    ``index`` compares HEAD with the index, ``worktree`` the index with the work tree. ``origin`` is where
    a renamed or copied path came from.
    """

    path: str
    index: Change
    worktree: Change
    origin: str | None = None
    conflicted: bool = False
    submodule: bool = False

    @property
    def staged(self) -> bool:
        """Whether the index differs from HEAD here."""
        return not self.conflicted and self.index not in {Change.NONE, Change.UNTRACKED}

    @property
    def modified(self) -> bool:
        """Whether the work tree differs from the index here, untracked paths aside."""
        return not self.conflicted and self.worktree not in {Change.NONE, Change.UNTRACKED}

    @property
    def untracked(self) -> bool:
        """Whether git does not know this path."""
        return self.index is Change.UNTRACKED


def parse_status(records: list[str]) -> tuple[StatusEntry, ...]:
    """Read the NUL-separated records of ``git status --porcelain=v2 -z``.

    The format is described in git-status(1), "Porcelain Format Version 2".
    """
    entries: list[StatusEntry] = []
    remaining = iter(records)
    for record in remaining:
        kind = record[:1]
        if kind == "1":
            entries.append(_changed(record.split(" ", 8)))
        elif kind == "2":
            entries.append(_changed(record.split(" ", 9), origin=next(remaining)))
        elif kind == "u":
            entries.append(_unmerged(record.split(" ", 10)))
        elif kind == "?":
            entries.append(StatusEntry(record[2:], Change.UNTRACKED, Change.UNTRACKED))
    return tuple(entries)


def _changed(fields: list[str], origin: str | None = None) -> StatusEntry:
    index, worktree = Change(fields[1][0]), Change(fields[1][1])
    return StatusEntry(fields[-1], index, worktree, origin=origin, submodule=fields[2].startswith("S"))


def _unmerged(fields: list[str]) -> StatusEntry:
    return StatusEntry(
        fields[-1],
        Change.UNMERGED,
        Change.UNMERGED,
        conflicted=True,
        submodule=fields[2].startswith("S"),
    )
