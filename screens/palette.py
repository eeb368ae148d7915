"""The command palette: every command and every phase, found by typing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

from screens.commands import COMMANDS
from screens.wording import one_line

if TYPE_CHECKING:
    from screens.app import WizardApp


class WizardCommands(Provider):
    """Offers what the keys do, and a way to each screen."""

    def _offers(self) -> list[tuple[str, str, IgnoreReturnCallbackType]]:
        app = cast("WizardApp", self.app)
        offers: list[tuple[str, str, IgnoreReturnCallbackType]] = []
        for command in COMMANDS:
            reason = app.desk.why_not(command.name)
            tells = f"Not now: {reason}" if reason else command.tells
            offers.append((f"{command.label} ({command.shown})", tells, partial(app.action_perform, command.name)))
        for number, phase in enumerate(app.desk.plan.phases, 1):
            title = f"Phase {number}: {one_line(phase.title)}"
            offers.append((title, "Opens the screen of this phase.", partial(app.open_phase, phase.id)))
        offers.append(("Theme", "Changes the colours.", app.action_change_theme))
        return offers

    async def discover(self) -> Hits:
        """Offer everything while nothing is typed."""
        for title, tells, act in self._offers():
            yield DiscoveryHit(Content(title), act, text=title, help=tells)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for title, tells, act in self._offers():
            if (score := matcher.match(title)) > 0:
                yield Hit(score, Content(title), act, text=title, help=tells)
