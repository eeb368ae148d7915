"""The key for rolling back: how far, each step confirmed on its own rung, and the run goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from screens.dialogs.choose import ChooseDialog
from screens.dialogs.confirm import ConfirmDialog
from screens.final import FinalScreen
from screens.hub import HubScreen
from tekup_migrate.events import StepState
from tekup_migrate.steps import Context, Danger, Evidence, Preview, Verdict
from tests.screens.scenery import Scenery, ScriptedStep, heard, shown, started, until
from tests.screens.sizes import SMALL_FIRST


class BackStep(ScriptedStep):
    """A careful step that can be taken back, destructively."""

    undo_danger = Danger.DESTRUCTIVE

    async def preview_revert(self, context: Context) -> Preview:
        return Preview(title=f"Drop what {self.title} made", target="notes", verb="Drop it", undo="Run it again.")

    async def revert(self, context: Context) -> None:
        self.done = False

    async def verify_reverted(self, context: Context) -> Evidence:
        return Evidence(verdict=Verdict.DIFFERS if self.done else Verdict.PASSED, summary="gone")


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_b_asks_how_far_and_takes_back_with_the_capital_letter(tmp_path: Path, size: tuple[int, int]) -> None:
    one = BackStep("one", danger=Danger.CAREFUL)
    two = BackStep("two", phase="cleanup", danger=Danger.CAREFUL)
    scenery = Scenery(tmp_path, [one, ScriptedStep("look", phase="notes"), two])
    app = scenery.app()
    async with app.run_test(size=size) as pilot:
        await started(pilot)
        while not isinstance(app.screen, FinalScreen):
            await pilot.pause(0.05)
            if isinstance(app.screen, ConfirmDialog):
                await heard(pilot)
                await pilot.press("y")
            elif isinstance(app.screen, HubScreen) and not app.desk.conductor.why_not_start():
                await pilot.press("enter")
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, ChooseDialog))
        await heard(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await heard(pilot)
        assert "Drop what Do two made" in shown(pilot)
        await pilot.press("d")
        assert two.done
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, HubScreen))
        assert not two.done
        assert one.done
        states = {name: status.state for name, status in app.desk.board.steps.items()}
        assert states == {
            "setup.one": StepState.DONE,
            "notes.look": StepState.DONE,
            "cleanup.two": StepState.REVERTED,
        }
        await pilot.press("enter")
        await heard(pilot)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, FinalScreen))
        assert two.done
