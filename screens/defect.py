"""Turns an exception that nobody expected into words for the operator."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from tekup_migrate.errors import MigrationError


def as_error(defect: Exception, redact: Callable[[str], str]) -> MigrationError:
    """Return what to tell the operator; the traceback is in the details, redacted, without local variables."""
    details = "".join(traceback.format_exception(defect))
    return MigrationError(
        "This program has a defect",
        happened=f"Something that should never happen did: {type(defect).__name__}.",
        unchanged="Every finished step is kept in the journal. The step that was running is not taken as done: "
        "the world is looked at before it goes on.",
        remedy="Start tekup-migrate again and resume. If it happens again, report the details.",
        details=redact(details),
    )
