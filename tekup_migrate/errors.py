"""The errors an operator can act on.

Each says what happened, what was not changed, and what to do next, in that order. Anything else that
is raised is a defect of this program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self


class MigrationError(Exception):
    """Something the operator must know about and can do something about.

    Attributes:
        title: one short line, without a full stop.
        happened: what happened, in words the operator knows.
        unchanged: what was not changed, so that the operator knows where things stand.
        remedy: what to do next.
        details: the technical rest, unfolded on request.
    """

    def __init__(self, title: str, *, happened: str, unchanged: str, remedy: str, details: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.happened = happened
        self.unchanged = unchanged
        self.remedy = remedy
        self.details = details

    def redacted(self, redact: Callable[[str], str]) -> Self:
        """Return the same error with every text passed through ``redact``."""
        # Not by the constructor: a kind of error may ask for less, or for other things, than this class does.
        clean = type(self).__new__(type(self), redact(self.title))
        texts = ("title", "happened", "unchanged", "remedy", "details")
        clean.__dict__.update({**self.__dict__, **{name: redact(self.__dict__[name]) for name in texts}})
        return clean

    def __str__(self) -> str:
        lines = [self.title, f"  What happened: {self.happened}", f"  Not changed:   {self.unchanged}"]
        lines.append(f"  What to do:    {self.remedy}")
        if self.details:
            lines.append("  Details:       " + self.details.replace("\n", "\n                 "))
        return "\n".join(lines)


class PlanError(MigrationError):
    """A plan file is missing, cannot be read, or says something that makes no sense."""


class JournalError(MigrationError):
    """The journal cannot be opened, is damaged, or was written by a newer version."""


class RunLockedError(MigrationError):
    """Another process holds this plan's run."""


class ConnectionFailedError(MigrationError):
    """A database could not be reached or refused us."""


class PasswordRefusedError(ConnectionFailedError):
    """A database was reached and did not take the password."""


class WorldChangedError(MigrationError):
    """The world no longer matches the preview that the operator confirmed."""


class CommandFailedError(MigrationError):
    """A program that a step ran failed."""


class PauseRequested(Exception):  # noqa: N818 - a request, not an error
    """Raised at a chunk or step edge when the operator asked for a pause; the step may be applied again."""
