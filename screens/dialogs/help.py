"""Explains every key of the screen underneath, and why the present step exists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from screens.desk import Desk
from screens.dialogs.dialog import Dialog
from screens.framed import FramedScreen
from screens.widgets.choice import Choice
from screens.wording import fitted, plain

_KEY_CELLS = 12
_EVERYWHERE = (
    ("Ctrl-C", "Pauses; pressed twice, stops at once and says what that leaves."),
    ("Ctrl-P", "Finds any command or screen by typing."),
    ("Tab", "Moves between panels and choices; the mouse does everything too."),
)


class HelpDialog(Dialog[None]):
    """A reading, closed with Escape or Enter."""

    CSS_PATH = "help.tcss"

    def __init__(self, keys: Sequence[tuple[str, str]], *, subject: str = "", why: str = "") -> None:
        super().__init__(title="Help")
        self._keys = keys
        self._subject = subject
        self._why = why

    def withdrawn(self) -> None:
        """Close it."""

    def compose_body(self) -> ComposeResult:
        """Show the step's why, then the keys, then what the glyphs mean."""
        if self._subject:
            yield Static(Content.assemble((plain(self._subject), "bold"), "\n", plain(self._why), "\n"), classes="part")
        for key, tells in self._keys:
            yield Static(Content.assemble((fitted(key, _KEY_CELLS), "bold $text-accent"), tells), classes="part")

    def choices(self) -> Iterable[Widget]:
        """Return closing."""
        yield Choice("cancel", "", "Close")


def help_for(screen: Screen[object], desk: Desk) -> HelpDialog:
    """Return the help for the screen in front, with the reasons for what cannot be done now."""
    status = desk.board.status
    step = desk.step(status.id) if status is not None else None
    subject, why = (step.title, step.why) if step is not None else ("", "")
    if isinstance(screen, Dialog):
        return HelpDialog((*screen.keys, *_EVERYWHERE), subject=subject, why=screen.why or why)
    keys: list[tuple[str, str]] = []
    shown = (*screen.COMMANDS_SHOWN, *screen.COMMANDS_HELPED) if isinstance(screen, FramedScreen) else ()
    for command in shown:
        reason = desk.why_not(command.name)
        keys.append((command.shown, f"{command.tells} Not now: {reason}" if reason else command.tells))
    return HelpDialog((*keys, *_EVERYWHERE), subject=subject, why=why)
