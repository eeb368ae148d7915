"""Rolling back from every step's boundary ends where the run began."""

from __future__ import annotations

import pytest

from tekup_migrate.events import StepState
from tekup_migrate.phases import steps_of
from tekup_migrate.plan import read_plan
from tekup_migrate.rollback import Rollback
from tekup_migrate.steps import Undo
from tekup_migrate.walk import Ending
from tests.rollback.conftest import LIBRARY, Stage
from tests.rollback.pictures import differences, picture

# Long: test_built_in.py takes the built-in plan's run back every time; what follows is run by name.
pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]
STEPS = [step.id for step in steps_of(read_plan(LIBRARY))]
UNDOABLE = [step.id for step in steps_of(read_plan(LIBRARY)) if step.undo is not Undo.NOTHING]


@pytest.mark.timeout(600)
async def test_each_step_taken_back_by_itself_leaves_what_was_there_before_it(stage: Stage) -> None:
    wrong: dict[str, list[str]] = {}
    earlier = stage.before
    for step in STEPS:
        await stage.forward(step)
        if step not in UNDOABLE:
            continue
        outcome = await stage.back(step)
        assert outcome.ending is Ending.FINISHED, outcome.error
        found = differences(earlier, await picture(stage.sitting))
        if found:
            wrong[step] = found
        await stage.forward(step)
        earlier = await picture(stage.sitting)
    assert not wrong
    assert (await stage.back()).ending is Ending.FINISHED
    assert differences(stage.before, await picture(stage.sitting)) == []


async def test_a_run_to_the_end_is_rolled_back_to_the_start_and_goes_forward_again(stage: Stage) -> None:
    await stage.forward()
    assert stage.sitting.report().passed
    there = await picture(stage.sitting)
    assert (await stage.back()).ending is Ending.FINISHED
    assert differences(stage.before, await picture(stage.sitting)) == []
    assert {status.state for status in stage.sitting.runner.status()} == {StepState.REVERTED}
    assert Rollback.of(stage.sitting.runner).outline() == ()
    await stage.forward()
    assert stage.sitting.report().passed
    again = await picture(stage.sitting)
    changed = [name for name in there if there[name] != again.get(name)]
    # A commit's time is part of its SHA, and with it of every ref that names it.
    assert all(name.endswith(("refs", "status")) for name in changed), differences(there, again)
    assert (await stage.back()).ending is Ending.FINISHED
    assert differences(stage.before, await picture(stage.sitting)) == []


@pytest.mark.parametrize("step", STEPS)
async def test_a_roll_back_to_the_start_from_any_boundary_leaves_the_world_as_it_was(stage: Stage, step: str) -> None:
    await stage.forward(step)
    outcome = await stage.back()
    assert outcome.ending is Ending.FINISHED, outcome.error
    assert differences(stage.before, await picture(stage.sitting)) == []
