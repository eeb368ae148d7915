"""Opens a sitting of a rehearsal: the plan's sample world, its writers, and a run on top of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tekup_migrate.credentials.age import BACKUP_KEY, new_backup_key
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import MemoryStore
from tekup_migrate.events import Listener, OutputLine
from tekup_migrate.plan import Plan
from tekup_migrate.rehearsal.api import running_gateways
from tekup_migrate.rehearsal.directory import RehearsalDirectory, rehearsal_directory
from tekup_migrate.rehearsal.stagehand import Stagehand
from tekup_migrate.rehearsal.throw_away import throw_away_server
from tekup_migrate.rehearsal.world import DEFAULT_ROWS, World, make_world
from tekup_migrate.rehearsal.writer import running_writers
from tekup_migrate.secret_source import PASSWORD, SecretSource
from tekup_migrate.sitting import Opening, Sitting, Surroundings, open_sitting
from tekup_migrate.steps import Operator


def rehearsal_opening(
    plan: Plan,
    templates: Path,
    *,
    rows: int = DEFAULT_ROWS,
    directory: Path | None = None,
    keep: bool = False,
    ended: Callable[[str], None] = lambda _: None,
) -> Opening:
    """Return what opens a rehearsal's sitting.

    Args:
        plan: the plan to rehearse; its projects, repositories and ports are replaced by the sample world's.
        templates: the folder with the plan's sample world.
        rows: how many documents the sample world holds.
        directory: where everything goes; by default a fresh temporary directory.
        keep: leave the directory behind.
        ended: is told at the end what became of the directory.
    """

    @asynccontextmanager
    async def opening(operator: Operator, listen: Listener) -> AsyncIterator[Sitting]:
        """Make the sample world and open a sitting on it."""
        async with _told_directory(directory, keep, ended) as place, AsyncExitStack() as stack:
            listen(OutputLine("Starting two database servers and making sample repositories …"))
            world = await make_world(plan, templates, place, stack, rows=rows)
            listen(OutputLine(f"The sample world stands after {world.seconds_to_make:.1f} s: {place.path}"))
            keys = {name: (each.keys.anon, each.keys.service) for name, each in world.projects.items()}
            async with running_writers(world) as writers, running_gateways(keys) as addresses:
                stagehand = Stagehand(operator, world.plan, writers)
                async with open_sitting(world.plan, _surroundings(world, addresses), stagehand, listen) as sitting:
                    yield sitting

    return opening


@asynccontextmanager
async def _told_directory(
    directory: Path | None, keep: bool, ended: Callable[[str], None]
) -> AsyncIterator[RehearsalDirectory]:
    """Open the rehearsal's directory; say what became of it, also where the rehearsal was stopped at once."""
    async with AsyncExitStack() as last:
        place = await last.enter_async_context(rehearsal_directory(directory, keep=keep))
        try:
            yield place
        finally:
            await last.aclose()
            fate = "its files are kept" if keep else "everything of it is removed"
            ended(f"The rehearsal is over, and {fate}: {place.path}")


def _surroundings(world: World, addresses: Mapping[str, str]) -> Surroundings:
    redactor = Redactor()
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join((str(world.programs), environment.get("PATH", os.defpath)))
    given = _given(world)
    return Surroundings(
        state=world.directory / "state",
        secrets=lambda operator: SecretSource(
            plan=world.plan,
            operator=operator,
            store=MemoryStore(),
            redactor=redactor,
            environment=environment,
            given=given,
        ),
        redactor=redactor,
        environment=environment,
        throw_away=throw_away_server,
        rehearsal=True,
        api_addresses=addresses,
    )


def _given(world: World) -> Mapping[tuple[str, str], Secret]:
    given: dict[tuple[str, str], Secret] = {}
    for name, project in world.projects.items():
        given[name, PASSWORD] = project.password
        given[name, project.keys.anon.kind] = project.keys.anon
        given[name, project.keys.service.kind] = project.keys.service
        given[name, BACKUP_KEY] = new_backup_key(project.ref)
    return given
