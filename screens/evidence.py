"""Everything that was proved so far: each step's verdict, findings and figures."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from screens import marks
from screens.account import AccountScreen
from screens.commands import BACK, HELP, LOG, PAUSE, QUIT
from screens.wording import amount, lasted, one_line, plain
from tekup_migrate.journal import Entry
from tekup_migrate.runner import StepStatus


class EvidenceScreen(AccountScreen):
    """The full list, read from the journal."""

    CSS_PATH = "evidence.tcss"
    COMMANDS_SHOWN = (BACK, PAUSE, LOG, HELP, QUIT)
    IS_READER = True
    PANEL = "evidence"
    HEADING = "Evidence"

    def account(self, latest: Mapping[str, Entry]) -> Content:
        """Return every step's verdict, findings and figures."""
        steps = self.desk.board.steps.values()
        parts = [_account(status, latest[status.id]) for status in steps if status.id in latest]
        nothing = Content.styled("Nothing is proved yet. Evidence appears here as steps end.", "dim")
        return Content("\n\n").join(parts) if parts else nothing


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
