"""A rehearsal that the tests of this folder share: one world, gone forward and taken back again and again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tekup_migrate.events import Event
from tekup_migrate.plan import read_plan
from tekup_migrate.postgres.activity import watch_writes
from tekup_migrate.rehearsal.opening import rehearsal_opening
from tekup_migrate.rollback import Rollback
from tekup_migrate.runner import Runner
from tekup_migrate.sitting import Sitting
from tekup_migrate.walk import Ending, Outcome
from tests.rollback.pictures import Picture, picture
from tests.scripted import ScriptedOperator

LIBRARY = Path(__file__).parents[1] / "plans" / "library.toml"


@dataclass
class Stage:
    """A sitting of a rehearsal with a scripted operator, and the picture taken before the first step."""

    sitting: Sitting
    operator: ScriptedOperator
    before: Picture
    events: list[Event] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """The app's repository."""
        return self.sitting.plan.apps["desk"].directory

    async def forward(self, to: str = "") -> Outcome:
        """Carry out the steps up to and including ``to`` (all when empty)."""
        runner = self.sitting.runner
        steps = runner.steps
        last = next((n for n, step in enumerate(steps, 1) if step.id == to), len(steps))
        outcome = await Runner(steps=steps[:last], context=runner.context, journal=runner.journal).run()
        assert outcome.ending is Ending.FINISHED, (outcome, outcome.error)
        return outcome

    async def back(self, to: str = "") -> Outcome:
        """Take everything down to and including ``to`` back."""
        return await Rollback.of(self.sitting.runner).run(to)


@pytest.fixture(scope="module")
def patches() -> Iterator[pytest.MonkeyPatch]:
    """Patches that last as long as the shared stage."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(patches: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """The library's rehearsal; every test leaves it rolled back to the start."""
    operator = ScriptedOperator()
    events: list[Event] = []
    # Nobody writes to this source: that it is quiet need not be watched for as long each time.
    assert watch_writes.__kwdefaults__ is not None
    patches.setitem(watch_writes.__kwdefaults__, "seconds", 0.2)
    opening = rehearsal_opening(read_plan(LIBRARY), LIBRARY.with_suffix(""), rows=40)
    async with opening(operator, events.append) as sitting:
        yield Stage(sitting, operator, await picture(sitting), events)
