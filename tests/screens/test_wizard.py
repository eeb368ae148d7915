"""The wizard over a real runner and a real journal: started, paused, resumed, left, and in trouble."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.command import CommandPalette

from screens.app import EXIT_ABRUPT, EXIT_DEFECT, EXIT_REFUSED
from screens.conductor import Stance
from screens.dialogs.confirm import ConfirmDialog
from screens.dialogs.help import HelpDialog
from screens.dialogs.reason import ReasonDialog
from screens.dialogs.trouble import TroubleDialog
from screens.evidence import EvidenceScreen
from screens.final import FinalScreen
from screens.hub import HubScreen
from screens.log import LogScreen
from screens.move import MoveScreen
from screens.phase import PhaseScreen
from screens.start import StartScreen
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import StepState
from tekup_migrate.steps import Danger
from tests.screens.scenery import (
    CAREFUL,
    ChunkStep,
    CountingStep,
    DefectStep,
    FailingStep,
    Scenery,
    ScriptedStep,
    every_phase,
    heard,
    shown,
    started,
    until,
)
from tests.screens.sizes import SMALL_FIRST


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_a_whole_run_goes_by_keys_alone_from_start_to_criteria(tmp_path: Path, size: tuple[int, int]) -> None:
    scenery = Scenery(tmp_path, every_phase())
    app = scenery.app()
    async with app.run_test(size=size) as pilot:
        await started(pilot)
        for key in ("y", "y"):
            await heard(pilot)
            await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, HubScreen))
        await until(pilot, lambda: "Session 1 of 2 is done" in shown(pilot))
        await pilot.press("enter")
        await heard(pilot)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, FinalScreen))
        await until(pilot, lambda: "2 of 2 criteria are met" in shown(pilot))
        assert "notes.copy: passed" in shown(pilot)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == 0
    assert scenery.closed == 1


async def test_opening_shows_progress_and_the_run_does_not_start_by_itself(tmp_path: Path) -> None:
    step = ScriptedStep("look")
    app = Scenery(tmp_path, [step], opening_seconds=0.8).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "making servers" in shown(pilot) and "initdb [" in shown(pilot))
        assert isinstance(app.screen, StartScreen)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, HubScreen))
        await pilot.pause(0.2)
        assert step.applied == 0


async def test_p_pauses_within_two_seconds_says_what_state_things_are_in_and_enter_resumes(tmp_path: Path) -> None:
    step = ChunkStep("copy", phase="notes", chunks=40, seconds=0.05)
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await until(pilot, lambda: step.copied > 3)
        await pilot.press("p")
        await until(pilot, lambda: app.desk.conductor.stance is Stance.RESTING, seconds=2)
        copied = step.copied
        await until(pilot, lambda: "is begun and not finished" in shown(pilot))
        assert f"{copied} of 40 chunks are verified" in shown(pilot)
        await pilot.pause(0.3)
        assert step.copied == copied
        await pilot.press("enter")
        await until(pilot, lambda: step.done)
        assert step.applied == 2


async def test_q_saves_closes_the_sitting_and_the_next_start_offers_to_resume(tmp_path: Path) -> None:
    step = ChunkStep("copy", phase="notes", chunks=60, seconds=0.05)
    steps = [ScriptedStep("look"), step]
    scenery = Scenery(tmp_path, steps)
    app = scenery.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await until(pilot, lambda: step.copied > 3)
        await pilot.press("p")
        await until(pilot, lambda: app.desk.conductor.stance is Stance.RESTING, seconds=2)
        await pilot.press("h")
        await until(pilot, lambda: "q ends the rehearsal: it cannot be resumed" in shown(pilot))
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert (app.return_value, scenery.closed) == (0, 1)
    again = scenery.app()
    async with again.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "There is an unfinished run." in shown(pilot))
        assert "1 of 2 steps are done" in shown(pilot)
        before = step.copied
        await pilot.press("enter")
        await until(pilot, lambda: step.copied > before)


async def test_q_while_a_dialog_asks_declines_and_leaves(tmp_path: Path) -> None:
    step = ScriptedStep("write", danger=Danger.CAREFUL, preview=CAREFUL)
    scenery = Scenery(tmp_path, [step])
    app = scenery.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await heard(pilot)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert (app.return_value, scenery.closed, step.applied) == (0, 1, 0)


async def test_ctrl_c_once_pauses_and_withdraws_the_question(tmp_path: Path) -> None:
    step = ScriptedStep("write", danger=Danger.CAREFUL, preview=CAREFUL)
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.desk.conductor.stance is Stance.RESTING)
        assert step.applied == 0
        assert "nothing of it was changed" in shown(pilot)


async def test_ctrl_c_twice_says_what_it_leaves_stops_at_once_and_closes_the_sitting(tmp_path: Path) -> None:
    step = CountingStep("slow", total=1000, seconds=0.02)
    stuck = ScriptedStep("stuck")

    async def hang(context: object) -> None:
        await asyncio.sleep(600)

    stuck.work = hang  # type: ignore[method-assign]
    scenery = Scenery(tmp_path, [stuck, step])
    app = scenery.app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await started(pilot)
        await until(pilot, lambda: stuck.applied == 1)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "Ctrl-C again stops at once" in shown(pilot))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == EXIT_ABRUPT
    assert "“Do stuck” is left begun and not finished" in app.farewell
    assert scenery.closed == 1


async def test_a_failure_says_what_happened_and_trying_again_goes_on(tmp_path: Path) -> None:
    step = FailingStep("connect", failures=1)
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await started(pilot)
        await heard(pilot)
        text = shown(pilot)
        places = [text.index(part) for part in ("What happened", "No row was written.", "Start the server again")]
        assert places == sorted(places)
        assert "The server [/] went away" in text
        assert "Errno 104" not in text
        await pilot.press("d")
        await pilot.pause(0.1)
        assert "[Errno 104]" in shown(pilot)
        await pilot.press("a")
        await until(pilot, lambda: step.done)


async def test_a_failed_step_is_skipped_only_with_a_reason(tmp_path: Path) -> None:
    step, after = FailingStep("connect", failures=9), ScriptedStep("after")
    scenery = Scenery(tmp_path, [step, after])
    app = scenery.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await heard(pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ReasonDialog))
        await heard(pilot)
        await pilot.press("enter", *"not here", "enter")
        await until(pilot, lambda: after.done)
        status = scenery.sittings[0].runner.status()[0]
        assert (status.state, status.reason) == (StepState.SKIPPED, "not here")


async def test_a_failure_that_is_left_stays_on_screen_with_its_remedy(tmp_path: Path) -> None:
    app = Scenery(tmp_path, [FailingStep("connect", failures=9)]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await started(pilot)
        await heard(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PhaseScreen))
        await until(pilot, lambda: "Start the server again, then try again." in shown(pilot))
        assert "✗ failed" in shown(pilot)


async def test_a_sitting_that_cannot_be_opened_is_explained_and_ends_with_2(tmp_path: Path) -> None:
    refusal = MigrationError(
        "This plan's run is already open",
        happened="It is held by process 17.",
        unchanged="Nothing was read or changed.",
        remedy="Go on in that window.",
    )
    app = Scenery(tmp_path, [], refuse=refusal).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, TroubleDialog))
        await heard(pilot)
        assert "It is held by process 17." in shown(pilot)
        assert "Try again" not in shown(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == EXIT_REFUSED
    assert "It is held by process 17." in app.farewell


async def test_a_defect_is_caught_at_the_edge_redacted_and_the_sitting_is_closed(tmp_path: Path) -> None:
    scenery = Scenery(tmp_path, [DefectStep("broken")])
    app = scenery.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(app.screen, TroubleDialog))
        await heard(pilot)
        assert "Every finished step is kept in the journal." in shown(pilot)
        await pilot.press("d", "escape")
        await until(pilot, lambda: not app.is_running)
    assert (app.return_value, scenery.closed) == (EXIT_DEFECT, 1)
    assert "ZeroDivisionError" in app.farewell
    assert "hunter2" not in app.farewell


async def test_what_cannot_be_done_now_stays_visible_and_says_why(tmp_path: Path) -> None:
    app = Scenery(tmp_path, [ScriptedStep("look")]).app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HubScreen))
        await until(pilot, lambda: "b Roll back" in shown(pilot))
        await pilot.press("b")
        await until(pilot, lambda: "No step was carried out yet." in shown(pilot))
        await pilot.press("p")
        await until(pilot, lambda: "nothing to pause" in shown(pilot))


async def test_help_explains_every_key_of_the_screen_and_the_steps_why(tmp_path: Path) -> None:
    step = ChunkStep("copy", phase="notes", chunks=200, seconds=0.05)
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(app.screen, MoveScreen) and step.copied > 0)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        await pilot.pause(0.2)
        text = shown(pilot)
        for part in ("So that [brackets]", "Enter ", "p  ", "e  ", "l  ", "b  ", "h  ", "q  ", "Ctrl-C", "Ctrl-P"):
            assert part in text
        await heard(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MoveScreen))


async def test_evidence_and_log_lie_over_the_screen_and_escape_takes_them_away(tmp_path: Path) -> None:
    step = ChunkStep("copy", phase="notes", chunks=200, seconds=0.05)
    app = Scenery(tmp_path, [CountingStep("backup"), step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await started(pilot)
        await until(pilot, lambda: step.copied > 0)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EvidenceScreen) and "12 tables, 34 [/] rows" in shown(pilot))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LogScreen) and "COPY (SELECT" in shown(pilot))
        await pilot.press("home")
        await until(pilot, lambda: "dumping [1] [/bold] 漢字 red" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, MoveScreen))


async def test_the_palette_reaches_a_phase_and_shows_brackets_as_they_are(tmp_path: Path) -> None:
    app = Scenery(tmp_path, [ScriptedStep("look")]).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HubScreen))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"Ledger")
        await until(pilot, lambda: "Phase 3: Ledger [/]" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PhaseScreen) and app.screen.phase_id == "ledger")
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, HubScreen))


async def test_the_mouse_starts_and_pauses(tmp_path: Path) -> None:
    step = ChunkStep("copy", phase="notes", chunks=200, seconds=0.05)
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HubScreen))
        await pilot.pause(0.2)
        await pilot.click("KeyHint")
        await until(pilot, lambda: step.copied > 2)
        pause = next(hint for hint in app.screen.query("KeyHint") if "Pause" in str(hint.render()))
        await pilot.click(pause)
        await until(pilot, lambda: app.desk.conductor.stance is Stance.RESTING, seconds=2)


@pytest.mark.parametrize("size", [(20, 5), (79, 24), (80, 23), (1, 1)])
async def test_a_terminal_that_is_too_small_is_told_so_and_the_run_goes_on(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    step = ChunkStep("copy", phase="notes", chunks=20, seconds=0.05)
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await started(pilot)
        await until(pilot, lambda: step.copied > 1)
        await pilot.resize_terminal(*size)
        await until(pilot, lambda: size[0] < 30 or "80 × 24" in shown(pilot))
        await until(pilot, lambda: step.done)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "Quit" in shown(pilot))
