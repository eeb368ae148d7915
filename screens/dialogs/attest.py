"""Manual work: what to do and where; the operator's word that it is done is recorded."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from screens.dialogs.dialog import Dialog
from screens.dialogs.reason import ReasonDialog
from screens.widgets.choice import Choice
from screens.wording import one_line, plain
from tekup_migrate.questions import Answer, Attestation, Reply

_OPENABLE = ("https://", "http://")


class AttestDialog(Dialog[Reply]):
    """Says that the work is done, skips it with a reason, or declines for now."""

    CSS_PATH = "attest.tcss"

    def __init__(self, request: Attestation) -> None:
        super().__init__(title=one_line(request.title), note="by hand · your word is recorded", kind="careful")
        self._request = request
        self._openable = request.address.startswith(_OPENABLE)
        self.keys = (
            ("y", "Says that it is done; the journal records it as attested by you."),
            ("s", "Skips it; a reason is asked for and goes to the report."),
            *((("o", "Opens the address in the browser."),) if self._openable else ()),
            ("Esc", "Declines for now: the run stops here and can be resumed."),
        )

    def withdrawn(self) -> Reply:
        """Decline for now."""
        return Reply(Answer.DECLINE)

    def compose_body(self) -> ComposeResult:
        """Say what to do."""
        yield Static(Content(plain(self._request.instruction)))

    def compose_below(self) -> ComposeResult:
        """Say where."""
        if self._request.address:
            address = Content.styled(plain(self._request.address), "bold underline $text-accent")
            yield Static(Content.assemble(("Where   ", "dim"), address), classes="line", id="address")

    def choices(self) -> Iterable[Widget]:
        """Return Cancel, done, opening the address, and skipping."""
        yield Choice("cancel", "", "Not now")
        yield Choice("done", "y", "It is done")
        if self._openable:
            yield Choice("open", "o", "Open the address")
        yield Choice("skip", "s", "Skip, with a reason")

    def on_key(self, event: events.Key) -> None:
        """Take the keys of the choices."""
        name = {"y": "done", "s": "skip", "o": "open"}.get(event.character or "")
        if name:
            event.stop()
            self.take(name)

    def take(self, name: str) -> None:
        """Take a choice by its key, by a click, or by Enter on it."""
        if name == "done":
            self.dismiss(Reply(Answer.PROCEED))
        elif name == "skip":
            self.app.push_screen(ReasonDialog(one_line(self._request.title)), self._skip_because)
        elif name == "open" and self._openable:
            self.app.open_url(self._request.address)
        elif name == "cancel":
            self.action_withdraw()

    def _skip_because(self, reason: str | None) -> None:
        if reason:
            self.dismiss(Reply(Answer.SKIP, reason))
