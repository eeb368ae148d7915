"""Which screen is in front: one place to be, readings over it, dialogs over all.

A screen that is wanted while a dialog or a reading is in front waits until they are gone, so that nothing
is pulled from under the operator's eyes.
"""

from __future__ import annotations

from textual.app import App
from textual.screen import Screen

from screens.adopt import AdoptScreen
from screens.cleanup import CleanupScreen
from screens.desk import Desk
from screens.dialogs.dialog import Dialog
from screens.framed import FramedScreen
from screens.hub import HubScreen
from screens.move import MoveScreen
from screens.phase import PhaseScreen
from screens.setup import SetupScreen
from screens.start import StartScreen
from screens.testing import TestingScreen

_SCREENS: dict[str, type[PhaseScreen]] = {
    "setup": SetupScreen,
    "move": MoveScreen,
    "adopt": AdoptScreen,
    "testing": TestingScreen,
    "cleanup": CleanupScreen,
}


class Navigation:
    """Moves between the screens of one app.

    Attributes:
        following: whether the phase's screen changes with the phase that runs.
    """

    def __init__(self, app: App[int], desk: Desk) -> None:
        self.following = True
        self._app = app
        self._desk = desk
        self._wanted: FramedScreen | None = None

    @property
    def framed(self) -> FramedScreen | None:
        """The framed screen nearest to the front."""
        return next((s for s in reversed(self._app.screen_stack) if isinstance(s, FramedScreen)), None)

    def want(self, screen: FramedScreen) -> None:
        """Go to a screen as soon as nothing is in front of the present one."""
        self._wanted = screen
        self.settle()

    def go(self, screen: FramedScreen) -> None:
        """Go to a screen now, taking readings away."""
        self._wanted = screen
        self._close_readings()
        self.settle()

    def go_to_phase(self, phase_id: str) -> None:
        """Go to a phase's screen; the run is followed when it is the phase that runs."""
        self.following = phase_id == self._desk.board.phase.id
        self.go(self._phase_screen(phase_id))

    def read(self, screen: FramedScreen) -> None:
        """Lay a reading over the present screen, in place of another reading."""
        self._close_readings()
        self._app.push_screen(screen)

    def back(self) -> None:
        """Take a reading away; where there is none, go to the hub."""
        screen = self._app.screen
        if isinstance(screen, FramedScreen) and screen.IS_READER:
            self._close_readings()
            self.settle()
        elif not isinstance(screen, (HubScreen, StartScreen)):
            self.want(HubScreen(self._desk))

    def settle(self) -> None:
        """Go to what is wanted, or to the phase that runs, when the present screen may be left."""
        screen = self._app.screen
        if not isinstance(screen, FramedScreen) or screen.IS_READER:
            return
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self._app.switch_screen(wanted)
        elif self.following and isinstance(screen, PhaseScreen) and screen.phase.id != self._desk.board.phase.id:
            self._app.switch_screen(self._phase_screen(self._desk.board.phase.id))

    async def withdraw_dialogs(self) -> None:
        """Take every dialog away, each with the answer of an operator who answers nothing now."""
        while isinstance(self._app.screen, Dialog):
            dialog = self._app.screen
            await dialog.dismiss(dialog.withdrawn())

    def _phase_screen(self, phase_id: str) -> PhaseScreen:
        phase = next(phase for phase in self._desk.plan.phases if phase.id == phase_id)
        return _SCREENS[phase.kind](self._desk, phase)

    def _close_readings(self) -> None:
        while _is_reading(self._app.screen):
            self._app.pop_screen()


def _is_reading(screen: Screen[object]) -> bool:
    return isinstance(screen, FramedScreen) and screen.IS_READER
