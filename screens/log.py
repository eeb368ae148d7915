"""Everything that ran, and what it printed; bounded, newest last."""

from __future__ import annotations

from textual.app import ComposeResult

from screens.board import MOST_LINES
from screens.commands import BACK, EVIDENCE, HELP, PAUSE, QUIT
from screens.framed import FramedScreen
from screens.widgets.log_panel import LogPanel


class LogScreen(FramedScreen):
    """The log over the whole width."""

    CSS_PATH = "log.tcss"
    COMMANDS_SHOWN = (BACK, PAUSE, EVIDENCE, HELP, QUIT)
    HAS_RAIL = False
    IS_READER = True
    AUTO_FOCUS = "LogPanel"

    def compose_centre(self) -> ComposeResult:
        """One panel."""
        yield LogPanel(self.desk.board, kept=MOST_LINES)

    def paint_centre(self) -> None:
        """Write what came since."""
        self.query_one(LogPanel).paint()
