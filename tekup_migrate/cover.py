"""The backup that covers what a step could destroy, as dialogs name it."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


class Cover(Struct, frozen=True, kw_only=True):
    """The backup that covers what a step could destroy.

    Attributes:
        folder: where it is.
        taken: the moment its snapshot was taken, ISO 8601, UTC.
        way_back: the command that restores it, or where to find the way.
    """

    folder: str
    taken: str
    way_back: str

    @property
    def age(self) -> str:
        """How old it is at this moment, in words."""
        return age_of(self.taken)


def age_of(moment: str) -> str:
    """Return how long ago a moment (ISO 8601 with a zone) was, in words."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for unit, name in _UNITS:
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count} {name}{'' if count == 1 else 's'} old"
    return "less than a minute old"
