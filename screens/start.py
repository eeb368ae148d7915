"""The first screen: the run is being opened, and in a rehearsal its world is being made."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from screens.commands import HELP, QUIT
from screens.desk import Desk
from screens.framed import FramedScreen
from screens.widgets.log_panel import LogPanel
from screens.widgets.progress_lines import ProgressLines
from screens.wording import lasted, one_line


class StartScreen(FramedScreen):
    """Shows what opening does, so that seconds of work never look like a standstill."""

    CSS_PATH = "start.tcss"
    COMMANDS_SHOWN = (HELP, QUIT)
    HAS_RAIL = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._since = time.monotonic()

    def compose_centre(self) -> ComposeResult:
        """Lay out the reason to wait, its progress, and what runs."""
        with Vertical(id="opening") as panel:
            panel.border_title = "Getting ready"
            yield Static(id="reason")
            yield ProgressLines(self.desk.board)
        yield LogPanel(self.desk.board)

    def paint_centre(self) -> None:
        """Show the progress of opening."""
        if self.desk.rehearsal:
            reason = (
                "Making a world to rehearse in: two throw-away Postgres servers, sample data, repositories and apps, "
                "all on this machine. Nothing outside it is read or changed."
            )
        else:
            reason = "Opening the journal. Nothing is changed, and no project is connected to before you start the run."
        waited = lasted(int(time.monotonic() - self._since))
        title = one_line(self.desk.plan.title)
        self.query_one("#reason", Static).update(
            Content.assemble((title, "bold $text-primary"), "\n\n", reason, (f"\n\n{waited}", "dim"))
        )
        self.query_one(ProgressLines).paint()
        self.query_one(LogPanel).paint()
