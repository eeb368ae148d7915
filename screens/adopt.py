"""The screen of an adopt phase: an app whose tables are on the target already."""

from __future__ import annotations

from textual.content import Content

from screens.phase import PhaseScreen
from screens.wording import one_line


class AdoptScreen(PhaseScreen):
    """An app is settled on the target: its env files, its tables, its traits."""

    def subject(self) -> Content:
        """Return the app's place, its env files and what is particular to it."""
        app = self.desk.plan.apps[self.phase.app]
        files = ", ".join(file.path for file in app.env_files) or "no env files"
        traits = [name for name, trait in (("Prisma", app.prisma), ("encrypted columns", app.encryption)) if trait]
        particular = f" · {', '.join(traits)}" if traits else ""
        return Content(f"{one_line(app.title)} at {app.path}{particular}\n{files}")
