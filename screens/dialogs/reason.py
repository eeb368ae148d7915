"""Asks why a step is skipped; an empty reason is no reason."""

from __future__ import annotations

from screens.dialogs.line import LineDialog
from tekup_migrate.questions import TextRequest

_WHY = "Why is this step skipped? The reason is kept in the journal and printed in the report."


class ReasonDialog(LineDialog):
    """Returns the reason, or an empty text when the operator went back."""

    EMPTY = "A skip needs a reason."

    def __init__(self, subject: str) -> None:
        super().__init__(
            TextRequest(title=f"Skip “{subject}”", text=_WHY, verb="Skip this step"), note="the report says so"
        )
