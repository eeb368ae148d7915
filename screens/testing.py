"""The screen of a testing phase: the apps that are started and asked."""

from __future__ import annotations

from textual.content import Content

from screens.phase import PhaseScreen
from screens.wording import one_line


class TestingScreen(PhaseScreen):
    """Each app alone, then all at once."""

    __test__ = False

    def subject(self) -> Content:
        """Return each app with its port and what is asked of it."""
        lines = []
        for app in self.desk.plan.apps.values():
            probes = ", ".join(probe.title for probe in app.probes) or "nothing to ask"
            port = f"port {app.port}" if app.port else "no port"
            lines.append(f"{one_line(app.title)} · {port} · {probes}")
        return Content("\n".join(lines))
