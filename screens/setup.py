"""The screen of a setup phase: which projects are read and backed up."""

from __future__ import annotations

from textual.content import Content

from screens.phase import PhaseScreen
from screens.wording import one_line


class SetupScreen(PhaseScreen):
    """Connect, look, back up and branch."""

    def subject(self) -> Content:
        """Return the projects with their roles, and the repositories."""
        plan = self.desk.plan
        lines = [f"{p.role:6}  {one_line(p.title)} · {p.ref} · {p.region}" for p in plan.projects.values()]
        lines.append("apps    " + ", ".join(one_line(app.title) for app in plan.apps.values()))
        return Content("\n".join(lines))
