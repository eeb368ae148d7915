"""Asks why a step is skipped; an empty reason is no reason."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from screens.dialogs.dialog import Dialog
from screens.widgets.choice import Choice


class ReasonDialog(Dialog[str]):
    """Returns the reason, or an empty text when the operator went back."""

    CSS_PATH = "reason.tcss"
    AUTO_FOCUS = "#reason"

    def __init__(self, subject: str) -> None:
        super().__init__(title=f"Skip “{subject}”", note="the report says so")
        self.keys = (
            ("Enter", "Skips the step with the reason that was typed."),
            ("Esc", "Goes back; nothing is skipped."),
        )

    def withdrawn(self) -> str:
        """Give no reason."""
        return ""

    def compose_body(self) -> ComposeResult:
        """Say what the reason is for."""
        yield Static("Why is this step skipped? The reason is kept in the journal and printed in the report.")

    def compose_below(self) -> ComposeResult:
        """Lay out the line to type in."""
        yield Input(id="reason")
        yield Static(id="hint")

    def choices(self) -> Iterable[Widget]:
        """Return the way back and skipping."""
        yield Choice("cancel", "", "Back")
        yield Choice("skip", "Enter", "Skip this step")

    @on(Input.Submitted)
    def _skip(self) -> None:
        reason = self.query_one("#reason", Input).value.strip()
        if reason:
            self.dismiss(reason)
        else:
            hint = Content.styled("A skip needs a reason.", "bold $text-warning")
            self.query_one("#hint", Static).update(hint)

    def take(self, name: str) -> None:
        """Take a choice that was clicked, or that Enter was pressed on."""
        if name == "skip":
            self._skip()
        else:
            self.action_withdraw()
