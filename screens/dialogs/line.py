"""Asks for a line of text, such as a name; nothing typed is no answer."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from screens.dialogs.dialog import Dialog
from screens.widgets.choice import Choice
from screens.wording import one_line, plain
from tekup_migrate.questions import TextRequest


class LineDialog(Dialog[str]):
    """Returns the line, or an empty text when the operator went back."""

    CSS_PATH = "line.tcss"
    AUTO_FOCUS = "#line"
    EMPTY = "Type it first, or press Esc to go on without."

    def __init__(self, request: TextRequest, *, note: str = "your words") -> None:
        super().__init__(title=one_line(request.title), note=note)
        self._request = request
        self.keys = (
            ("Enter", f"{request.verb}: what was typed is taken."),
            ("Esc", "Goes back without an answer."),
        )

    def withdrawn(self) -> str:
        """Answer nothing."""
        return ""

    def compose_body(self) -> ComposeResult:
        """Say what is asked for."""
        yield Static(Content(plain(self._request.text)))

    def compose_below(self) -> ComposeResult:
        """Lay out the line to type in, and what was wrong before."""
        yield Input(id="line", select_on_focus=False)
        yield Static(Content.styled(plain(self._request.trouble), "bold $text-warning"), id="hint")

    def choices(self) -> Iterable[Widget]:
        """Return the way back and taking it."""
        yield Choice("cancel", "", "Back")
        yield Choice("take", "Enter", one_line(self._request.verb))

    @on(Input.Submitted)
    def _take_line(self) -> None:
        line = self.query_one("#line", Input).value.strip()
        if line:
            self.dismiss(line)
        else:
            self.query_one("#hint", Static).update(Content.styled(self.EMPTY, "bold $text-warning"))

    def take(self, name: str) -> None:
        """Take a choice that was clicked, or that Enter was pressed on."""
        if name == "take":
            self._take_line()
        else:
            self.action_withdraw()
