"""What the steps of one phase have proved, one line each, the newest last."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens import marks
from screens.board import Board
from screens.wording import lasted, one_line


class EvidencePanel(VerticalScroll):
    """A line for every step that has evidence."""

    DEFAULT_CSS = """
    EvidencePanel { border: round $panel-lighten-3; padding: 0 1; scrollbar-size-vertical: 1; }
    EvidencePanel:focus { border: round $primary; }
    """

    def __init__(self, board: Board, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = "Evidence"
        self._board = board
        self._shown = -1

    def compose(self) -> ComposeResult:
        """One text, scrolled."""
        yield Static(Content.styled("Nothing is proved yet.", "dim"))

    def paint(self, phase_id: str) -> None:
        """Show the evidence of a phase's steps."""
        lines = []
        for status in self._board.steps_of(phase_id):
            if status.verdict:
                mark = marks.of_verdict(status.verdict)
                seconds = f"  ({lasted(status.seconds)})" if status.seconds else ""
                summary = f" · {one_line(status.summary)}" if status.summary else ""
                lines.append(
                    Content.assemble(
                        (f"{mark.glyph} ", mark.style),
                        f"{one_line(status.title)}: ",
                        (mark.word, mark.style),
                        summary,
                        (seconds, "dim"),
                    )
                )
        if lines:
            self.query_one(Static).update(Content("\n").join(lines))
        if len(lines) != self._shown:
            self._shown = len(lines)
            self.call_after_refresh(self.scroll_end, animate=False)
