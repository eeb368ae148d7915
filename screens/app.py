"""The wizard as a Textual app: it owns the run, shows the screens, and puts the dialogs in front of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

from rich.segment import Segments
from rich.traceback import Traceback
from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.worker import Worker

from screens import commands
from screens.board import Board
from screens.conductor import Conductor, Stance, Wayout
from screens.defect import as_error
from screens.desk import Desk
from screens.dialogs.dialog import Dialog
from screens.dialogs.help import HelpDialog, help_for
from screens.dialogs.trouble import TroubleDialog
from screens.evidence import EvidenceScreen
from screens.final import FinalScreen
from screens.hub import HubScreen
from screens.log import LogScreen
from screens.navigation import Navigation
from screens.operator import WizardOperator
from screens.palette import WizardCommands
from screens.phase import PhaseScreen
from screens.signals import on_end_signals
from screens.standing import left_by_a_stop, standing
from screens.start import StartScreen
from screens.terminal import TerminalSigns
from screens.typing import Typing
from screens.widgets.revealed import Revealed
from tekup_migrate.errors import MigrationError, PauseRequested
from tekup_migrate.plan import Plan
from tekup_migrate.sitting import Opening
from tekup_migrate.walk import Outcome

T = TypeVar("T")

_PAINTS_A_SECOND = 10
_INTERRUPT_SECONDS = 5.0
EXIT_DEFECT = 1
EXIT_REFUSED = 2
EXIT_ABRUPT = 130


class WizardApp(App[int]):
    """One sitting of one run, full screen.

    Attributes:
        desk: what every screen works with.
        navigation: which screen is in front.
        opening_key: the key that was pressed last.
        farewell: what is printed after the screen is gone.
    """

    CSS_PATH = "app.tcss"
    TITLE = "tekup-migrate"
    COMMANDS = {WizardCommands}  # noqa: RUF012 - Textual's own declaration
    BINDINGS: ClassVar[list[BindingType]] = [
        *(command.binding for command in commands.COMMANDS if command.keys),
        Binding("ctrl+c", "interrupt", "Pause", show=False, priority=True),
        Binding("ctrl+q", "quit", "Save and quit", show=False, priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - Textual's own declaration
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012 - Textual's own declaration

    def __init__(self, *, plan: Plan, opening: Opening, rehearsal: bool, report_file: Path | None = None) -> None:
        super().__init__()
        board = Board(plan)
        operator = WizardOperator(self, plan)
        conductor = Conductor(
            plan=plan, opening=opening, operator=operator, board=board, stage=self, report_file=report_file
        )
        self.desk = Desk(
            given_plan=plan, rehearsal=rehearsal, board=board, conductor=conductor, report_file=report_file
        )
        self.navigation = Navigation(self, self.desk)
        self.opening_key = ""
        self.farewell = ""
        self._signs = TerminalSigns(self._write_terminal)
        self._run_worker: Worker[None] | None = None
        self._interrupted_at = -_INTERRUPT_SECONDS
        self._asking = 0
        self._typing = Typing()
        self._painted: object = None
        self._step_seen: object = None

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """Return the screen as SVG, with nothing revealed in it and every held secret masked."""
        for revealed in self.screen.query(Revealed):
            revealed.hide()
        return self.desk.conductor.redact(super().export_screenshot(title=title, simplify=simplify))

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text, without any held secret: the clipboard is read by others."""
        super().copy_to_clipboard(self.desk.conductor.redact(text))

    # The run's life ------------------------------------------------------------------------------------

    async def on_mount(self) -> None:
        """Show the start screen, and open the sitting once it is painted."""
        self._signs.begin()
        on_end_signals(self._stop_at_once)
        await self.push_screen(StartScreen(self.desk))
        self.set_interval(1 / _PAINTS_A_SECOND, self._tick)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._run_worker = self.run_worker(self._conduct(), name="the run", exit_on_error=False)

    async def _conduct(self) -> None:
        """Conduct the sitting; this is the one place where a defect of this program is caught."""
        code = 0
        try:
            await self.desk.conductor.conduct()
        except PauseRequested:
            # A question on the way in was left open: no run was begun or gone on with.
            self.farewell = "Nothing was started or changed. Start tekup-migrate again when you have decided."
        except MigrationError as error:
            code = EXIT_REFUSED
            await self._show_last(error)
        except asyncio.CancelledError:
            if self.farewell:
                self._leave(EXIT_ABRUPT)
            raise
        except Exception as defect:  # noqa: BLE001 - the App's edge: the operator is told where things stand
            code = EXIT_DEFECT
            await self._show_last(as_error(defect, self.desk.conductor.redact))
        self._leave(code)

    async def _show_last(self, error: MigrationError) -> None:
        self.farewell = str(error)
        self.desk.conductor.stance = Stance.CLOSING
        await self.ask(TroubleDialog(error))

    def _leave(self, code: int) -> None:
        self._signs.end()
        self.exit(code)

    # What the conductor asks for -----------------------------------------------------------------------

    def opened(self) -> None:
        """Show the hub."""
        self.navigation.want(HubScreen(self.desk))

    def started(self) -> None:
        """Show what runs, and follow it from phase to phase."""
        self.navigation.go_to_phase(self.desk.board.phase.id)

    def stopped(self, outcome: Outcome) -> None:
        """Say what state everything is in."""
        self._interrupted_at = -_INTERRUPT_SECONDS
        state = "" if isinstance(self.screen, PhaseScreen) else "\n".join(standing(self.desk.board))
        self.announce(state or "Nothing is running now.", title=outcome.ending.value.capitalize())

    def rested(self, advice: str) -> None:
        """Go back to the hub with the advice."""
        hub = HubScreen(self.desk)
        hub.advice = advice
        self.navigation.want(hub)
        self.bell()

    def finished(self) -> None:
        """Show the success criteria."""
        self.navigation.want(FinalScreen(self.desk))
        self.bell()

    def closing(self) -> None:
        """Say that it takes a moment."""
        self.announce("The rehearsal ends here. Closing." if self.desk.rehearsal else "Everything is saved. Closing.")

    async def trouble(self, step_id: str, error: MigrationError) -> tuple[Wayout, str]:
        """Ask what to do about a failed step."""
        status = self.desk.board.steps.get(step_id)
        return await self.ask(TroubleDialog(error, step_title=status.title if status is not None else step_id))

    async def ask(self, dialog: Dialog[T]) -> T:
        """Put a dialog before the operator and wait for the answer; called from the run's worker."""
        self.navigation.settle()
        self._asking += 1
        self.bell()
        try:
            with self.desk.board.asking():
                return await self.push_screen_wait(dialog)
        finally:
            self._asking -= 1

    def announce(self, text: str, *, title: str = "") -> None:
        """Show a short notice that goes away by itself."""
        self.clear_notifications()
        self.notify(text, title=title, markup=False, timeout=8)

    # What the operator asks for ------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Throw away keys, pastes and clicks that cannot have been meant for what is in front."""
        if self.screen_stack and not self._typing.is_meant(event, self.screen):
            return
        if isinstance(event, events.Key) and not event.is_forwarded and self.screen_stack:
            self.opening_key = event.key
        await super().on_event(event)

    async def action_perform(self, name: str) -> None:
        """Do what a command says, or say why it cannot be done."""
        if reason := self.desk.why_not(name):
            self.announce(reason, title="Not now")
            return
        desk, navigation = self.desk, self.navigation
        acts: dict[str, Callable[[], None]] = {
            "start": desk.conductor.start,
            "pause": desk.conductor.pause,
            "rollback": desk.conductor.roll_back,
            "restore": desk.conductor.restore,
            "evidence": lambda: navigation.read(EvidenceScreen(desk)),
            "log": lambda: navigation.read(LogScreen(desk)),
            "phase": self._open_marked,
            "hub": lambda: navigation.go(HubScreen(desk)),
            "back": navigation.back,
            "criteria": lambda: navigation.go(FinalScreen(desk)),
            "help": self._help,
        }
        if name == "quit":
            await self.action_quit()
        else:
            acts[name]()

    async def open_phase(self, phase_id: str) -> None:
        """Open a phase's screen."""
        self.navigation.go_to_phase(phase_id)

    async def action_quit(self) -> None:
        """Pause, keep everything, and leave."""
        conductor = self.desk.conductor
        conductor.leave()
        if conductor.stance in (Stance.OPENING, Stance.PAUSING):
            self.announce("It leaves at the next edge of a chunk or step. Ctrl-C twice stops at once.")
        await self.navigation.withdraw_dialogs()

    async def action_interrupt(self) -> None:
        """Pause; the second time, stop at once."""
        conductor = self.desk.conductor
        now = time.monotonic()
        if now < self._interrupted_at + _INTERRUPT_SECONDS or conductor.stance is Stance.PAUSING:
            self._stop_at_once()
            return
        self._interrupted_at = now
        self.announce(left_by_a_stop(self.desk.board), title="Ctrl-C again stops at once")
        conductor.pause()
        await self.navigation.withdraw_dialogs()

    def _stop_at_once(self) -> None:
        self.farewell = f"Stopped at once. {left_by_a_stop(self.desk.board)}"
        if self._run_worker is not None:
            self._run_worker.cancel()

    def _open_marked(self) -> None:
        if isinstance(self.screen, HubScreen) and self.screen.marked_phase:
            self.navigation.go_to_phase(self.screen.marked_phase)

    def _help(self) -> None:
        if not isinstance(self.screen, HelpDialog):
            self.push_screen(help_for(self.screen, self.desk))

    # What is painted -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Paint when something moved; this is what makes ten paints of thousands of events."""
        if not self.screen_stack:
            return
        self.navigation.settle()
        board, conductor = self.desk.board, self.desk.conductor
        step = (board.current, board.status.state if board.status is not None else None)
        if step != self._step_seen:
            self._step_seen = step
            conductor.count_time()
        screen = self.navigation.framed
        state = (screen, board.version, conductor.stance, int(time.monotonic()), self._asking)
        if screen is not None and state != self._painted:
            self._painted = state
            screen.paint()
            self._signs.show(board, asking=self._asking > 0)

    def _write_terminal(self, text: str) -> None:
        if not self.is_headless and self._driver is not None:
            self._driver.write(text)

    def _fatal_error(self) -> None:
        """Print a crash of the screen itself without Textual's local variables: a secret may be among them."""
        self.bell()
        report = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(report, self.console.options)))
        self._close_messages_no_wait()
