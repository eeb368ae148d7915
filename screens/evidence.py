"""Everything that was proved so far: each step's verdict, findings and figures."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens import marks
from screens.commands import BACK, HELP, LOG, PAUSE, QUIT
from screens.framed import FramedScreen
from screens.wording import amount, lasted, one_line, plain
from tekup_migrate.journal import Entry
from tekup_migrate.runner import StepStatus


class EvidenceScreen(FramedScreen):
    """The full list, read from the journal."""

    CSS_PATH = "evidence.tcss"
    COMMANDS_SHOWN = (BACK, PAUSE, LOG, HELP, QUIT)
    IS_READER = True

    def compose_centre(self) -> ComposeResult:
        """One scrolled text."""
        with VerticalScroll(id="evidence") as panel:
            panel.border_title = "Evidence"
            yield Static(id="evidence-text")

    def on_mount(self) -> None:
        """Put the focus on the text, so that arrow keys scroll it."""
        self.query_one("#evidence").focus()
        self._seen: object = None

    def paint_centre(self) -> None:
        """Show the journal's account anew when something happened."""
        board = self.desk.board
        seen = (board.current, board.status, len(board.left()))
        if seen == self._seen or (latest := self.desk.latest()) is None:
            return
        self._seen = seen
        steps = self.desk.board.steps.values()
        parts = [_account(status, latest[status.id]) for status in steps if status.id in latest]
        nothing = Content.styled("Nothing is proved yet. Evidence appears here as steps end.", "dim")
        self.query_one("#evidence-text", Static).update(Content("\n\n").join(parts) if parts else nothing)


def _account(status: StepStatus, entry: Entry) -> Content:
    mark = marks.of_step(status)
    seconds = f"  {lasted(entry.seconds)}" if entry.seconds else ""
    lines = [
        Content.assemble(
            (f"{mark.glyph} {mark.word}", mark.style), (f"  {one_line(status.title)}", "bold"), (seconds, "dim")
        )
    ]
    evidence = entry.evidence
    if evidence is not None:
        lines.append(Content("  " + one_line(evidence.summary)))
        lines += [Content("  · " + plain(fact)) for fact in evidence.facts]
        figures = "   ".join(f"{one_line(f.name)} {_figure(f.value, f.unit)}" for f in evidence.figures)
        lines += [Content.styled("  " + figures, "dim")] if figures else []
    if entry.reason and (evidence is None or entry.reason != evidence.summary):
        lines.append(Content.assemble(("  reason: ", "dim"), plain(entry.reason)))
    return Content("\n").join(lines)


def _figure(value: float, unit: str) -> str:
    if unit == "bytes" or value == int(value):
        return amount(value, unit)
    return f"{value:.2f} {unit}".strip()
