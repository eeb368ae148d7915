"""The frame that every screen of the wizard has: header, rail, centre and keys."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.events import Resize, ScreenResume
from textual.screen import Screen

from screens.commands import Command
from screens.conductor import Stance
from screens.desk import Desk
from screens.widgets.header_line import HeaderLine
from screens.widgets.key_bar import KeyBar
from screens.widgets.rail import Rail
from screens.widgets.room import Room


class FramedScreen(Screen[None]):
    """A screen with the frame; what is particular goes into ``compose_centre`` and ``paint_centre``.

    Attributes:
        COMMANDS_SHOWN: what the key bar shows.
        COMMANDS_HELPED: what only the help shows, for want of room.
        HAS_RAIL: whether the rail stands at the left.
        IS_READER: whether it lies over another screen and Escape takes it away.
    """

    COMMANDS_SHOWN: ClassVar[Sequence[Command]] = ()
    COMMANDS_HELPED: ClassVar[Sequence[Command]] = ()
    HAS_RAIL: ClassVar[bool] = True
    IS_READER: ClassVar[bool] = False

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._laid_out = False

    @property
    def phase_id(self) -> str:
        """The phase whose steps the rail shows."""
        return self.desk.board.phase.id

    def compose(self) -> ComposeResult:
        """Lay out the frame around the centre."""
        yield HeaderLine(self.desk)
        with Horizontal(id="frame"):
            if self.HAS_RAIL:
                yield Rail(self.desk)
            with Vertical(id="centre"):
                yield from self.compose_centre()
        yield KeyBar(self.desk, self.COMMANDS_SHOWN)
        yield Room()

    def compose_centre(self) -> ComposeResult:
        """Lay out what is particular to this screen."""
        yield from ()

    def paint(self) -> None:
        """Show the present state of the board; called at most ten times a second."""
        if not self._laid_out or self not in self.app.screen_stack:
            return
        # A screen that is being taken down loses its widgets one by one, and a paint may still be on its way.
        with suppress(NoMatches):
            self.query_one(HeaderLine).paint()
            for rail in self.query(Rail):
                rail.paint(self.phase_id)
            self.query_one(KeyBar).paint(start=self._start_label())
            self.paint_centre()

    def paint_centre(self) -> None:
        """Show what is particular to this screen."""

    def on_mount(self) -> None:
        """Paint from now on: every widget is in place."""
        self._laid_out = True
        self.call_after_refresh(self.paint)

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Catch up with what happened while another screen was in front."""
        self.remove_class("-beneath")
        self.call_after_refresh(self.paint)

    def on_screen_suspend(self) -> None:
        """Show no keys while something is in front: they do nothing there, or something else."""
        self.add_class("-beneath")

    def on_resize(self, event: Resize) -> None:
        """Fit the new size."""
        self.query_one(Room).fit(event.size)
        self.call_after_refresh(self.paint)

    def _start_label(self) -> str:
        if self.desk.conductor.stance is Stance.PAUSING:
            return "Pausing…"
        begun = any(status.seconds or status.verdict for status in self.desk.board.steps.values())
        return "Resume" if begun else "Start"
