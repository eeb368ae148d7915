"""The built-in plan taken back: judged by pictures of everything that it can touch, taken before and after."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tekup_migrate.events import Event
from tekup_migrate.phases import steps_of
from tekup_migrate.plan import BUILT_IN, read_plan
from tekup_migrate.rehearsal.opening import rehearsal_opening
from tekup_migrate.walk import Ending
from tests.rollback.conftest import Stage
from tests.rollback.pictures import differences, picture
from tests.scripted import ScriptedOperator

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALWAYS = "vault.copy"
"""The boundary that every run of the tests tries; the others are a long proof."""

STEPS = [step.id for step in steps_of(read_plan(BUILT_IN))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tekup(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The built-in plan's rehearsal, without the worker that keeps writing: its rows are nobody's to take back."""
    templates = tmp_path_factory.mktemp("world") / "tekup"
    shutil.copytree(BUILT_IN.with_suffix(""), templates)
    (templates / "world.toml").unlink()
    operator, events = ScriptedOperator(), list[Event]()
    opening = rehearsal_opening(read_plan(BUILT_IN), templates, rows=60)
    async with opening(operator, events.append) as sitting:
        yield Stage(sitting, operator, await picture(sitting), events)


async def test_the_whole_run_taken_back_leaves_every_database_repository_and_env_file_as_it_was(tekup: Stage) -> None:
    await tekup.forward()
    assert tekup.sitting.report().passed
    outcome = await tekup.back()
    assert (outcome.ending, outcome.left) == (Ending.FINISHED, ()), outcome.error
    assert differences(tekup.before, await picture(tekup.sitting)) == []
    previews = dict(tekup.operator.previews)
    for step in ("vault.index", "vault.create", "vault.copy"):
        cover = previews[step].cover
        assert cover is not None, step
        assert "renos-backup" in cover.folder
    assert "not there any more" not in str(tekup.operator.previews)
    assert "Its commits stay in the local repository" in str(previews["cleanup.push.vault"].actions)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "step", [step if step == ALWAYS else pytest.param(step, marks=pytest.mark.long) for step in STEPS]
)
async def test_a_roll_back_to_the_start_from_any_boundary_leaves_the_world_as_it_was(tekup: Stage, step: str) -> None:
    await tekup.forward(step)
    outcome = await tekup.back()
    assert (outcome.ending, outcome.left) == (Ending.FINISHED, ()), outcome.error
    assert differences(tekup.before, await picture(tekup.sitting)) == []
