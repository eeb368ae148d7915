"""What went wrong: what happened, what was not changed, what to do next; the details unfold."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from screens.conductor import Wayout
from screens.dialogs.dialog import Dialog
from screens.dialogs.reason import ReasonDialog
from screens.widgets.choice import Choice
from screens.wording import one_line, plain
from tekup_migrate.errors import MigrationError


class TroubleDialog(Dialog[tuple[Wayout, str]]):
    """Tries a step again, skips it with a reason, or leaves it; without a step it can only be left."""

    CSS_PATH = "trouble.tcss"

    def __init__(self, error: MigrationError, *, step_title: str = "") -> None:
        super().__init__(title=one_line(error.title), note=one_line(step_title), kind="trouble")
        self._error = error
        self._step_title = one_line(step_title)
        self.keys = (
            *((("a", "Tries the step again."), ("s", "Skips the step; a reason is asked for.")) if step_title else ()),
            *((("d", "Unfolds the technical details."),) if error.details else ()),
            ("Esc", "Leaves it as it is; the run can be resumed later."),
        )

    def withdrawn(self) -> tuple[Wayout, str]:
        """Leave it."""
        return Wayout.LEAVE, ""

    def compose_body(self) -> ComposeResult:
        """Show the error in the order in which it is needed."""
        error = self._error
        for heading, text in (
            ("What happened", error.happened),
            ("What was not changed", error.unchanged),
            ("What to do next", error.remedy),
        ):
            yield Static(heading, classes="heading")
            yield Static(Content(plain(text)), classes="text")
        if error.details:
            yield Static(Content.styled("d unfolds the details", "dim"), id="folded")
            yield Static(Content(plain(error.details)), id="details")

    def choices(self) -> Iterable[Widget]:
        """Return leaving it, and what else can be done."""
        yield Choice("cancel", "", "Leave it")
        if self._step_title:
            yield Choice("again", "a", "Try again")
            yield Choice("skip", "s", "Skip, with a reason")
        if self._error.details:
            yield Choice("details", "d", "Details")

    def on_key(self, event: events.Key) -> None:
        """Take the keys of the choices."""
        name = {"a": "again", "s": "skip", "d": "details"}.get(event.character or "")
        if name:
            event.stop()
            self.take(name)

    def take(self, name: str) -> None:
        """Take a choice by its key, by a click, or by Enter on it."""
        if name == "cancel":
            self.action_withdraw()
        elif name == "details":
            self.toggle_class("-unfolded")
        elif self._step_title and name == "again":
            self.dismiss((Wayout.AGAIN, ""))
        elif self._step_title and name == "skip":
            self.app.push_screen(ReasonDialog(self._step_title), self._skip_because)

    def _skip_because(self, reason: str | None) -> None:
        if reason:
            self.dismiss((Wayout.SKIP, reason))
