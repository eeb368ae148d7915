"""The last screen: the success criteria with their evidence, and where the report was written."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from screens import marks
from screens.account import AccountScreen
from screens.commands import EVIDENCE, HELP, HUB, LOG, QUIT
from screens.wording import lasted, one_line, plain
from tekup_migrate.journal import Entry
from tekup_migrate.report.criteria import judge
from tekup_migrate.steps import Verdict

_INDENT = " " * (marks.WORD_CELLS + 6)
_GOOD = (Verdict.PASSED, Verdict.ATTESTED)


class FinalScreen(AccountScreen):
    """What was wanted, and whether it is so."""

    CSS_PATH = "final.tcss"
    COMMANDS_SHOWN = (HUB, EVIDENCE, LOG, HELP, QUIT)
    HAS_RAIL = False
    PANEL = "criteria"
    HEADING = "Success criteria"

    def compose_centre(self) -> ComposeResult:
        """Lay out the criteria and the places of the reports."""
        yield from super().compose_centre()
        yield Static(id="reports")

    def account(self, latest: Mapping[str, Entry]) -> Content:
        """Judge the criteria anew, and say how many are met."""
        judged = judge(self.desk.plan, latest)
        good = sum(criterion.verdict in _GOOD for criterion in judged)
        self.query_one("#reports", Static).update(self._reports(good, len(judged)))
        lines: list[Content] = []
        for number, criterion in enumerate(judged, 1):
            mark = marks.of_verdict(criterion.verdict.value)
            title = one_line(criterion.title)
            lines.append(
                Content.assemble(
                    (f"{mark.glyph} {mark.word:{marks.WORD_CELLS}} ", mark.style), (f"{number:2} {title}", "bold")
                )
            )
            lines += [Content.styled(_INDENT + plain(line), "dim") for line in criterion.evidence]
        return Content("\n").join(lines)

    def _reports(self, good: int, total: int) -> Content:
        left = len(self.desk.board.left())
        spent = lasted(sum(self.desk.board.seconds_of(phase.id) for phase in self.desk.plan.phases))
        style = "bold $text-success" if good == total else "bold $text-warning"
        state = f"{left} steps are still to do." if left else f"The run is finished, after {spent}."
        parts: list[Content] = [Content.assemble((f"{good} of {total} criteria are met. ", style), state)]
        parts += [Content(f"Written: {path}") for path in self.desk.reports()]
        return Content("\n").join(parts)
