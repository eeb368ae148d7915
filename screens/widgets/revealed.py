"""One value, shown as it is for as long as its key is held."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from screens.wording import plain
from tekup_migrate.credentials.secret import Secret

HELD_SECONDS = 2.0
"""How long a value stays after the key's last repeat: a terminal tells of a key pressed, never of one let go."""


class Revealed(Static):
    """Shows one secret value while its key repeats, and for a moment after; it can be neither selected nor exported.

    Whatever renders the screen for somebody else calls ``hide`` first: see ``WizardApp.export_screenshot``.
    """

    ALLOW_SELECT: ClassVar[bool] = False

    class Resized(Message):
        """It takes another number of lines now."""

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None

    def on_resize(self) -> None:
        """Tell that it takes up room."""
        self.post_message(self.Resized())

    def on_hide(self) -> None:
        """Tell that it takes up none."""
        self.post_message(self.Resized())

    def reveal(self, label: str, value: Secret) -> None:
        """Show a value until ``hide``, or until its key was not pressed again for a moment."""
        self._stop()
        self.update(Content.assemble((f"{label}  ", "bold $text-warning"), plain(value.reveal())))
        self.add_class("-shown")
        self.call_after_refresh(self._count_down)

    def hide(self) -> None:
        """Show nothing; at once, also for a picture that is taken in the same moment."""
        self._stop()
        self.update("")
        self.remove_class("-shown")

    def _count_down(self) -> None:
        """Hide it a moment after it was painted, however slow the terminal is."""
        self._stop()
        if self.has_class("-shown"):
            self._timer = self.set_timer(HELD_SECONDS, self.hide)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
