"""The screen of a cleanup phase: documents, commits, pushes, and when the source may go."""

from __future__ import annotations

from textual.content import Content

from screens.phase import PhaseScreen
from screens.wording import one_line


class CleanupScreen(PhaseScreen):
    """Write down what was done, commit it, push it, and plan the end of the source."""

    def subject(self) -> Content:
        """Return the branch, the documents and the days until the source may be deleted."""
        plan = self.desk.plan
        documents = ", ".join(f"{one_line(app.title)}/{app.readme}" for app in plan.apps.values())
        return Content(
            f"branch {plan.branch} · {documents}\n"
            f"{one_line(plan.source.title)} is kept for {plan.decommission_days} days after this phase"
        )
