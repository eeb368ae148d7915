"""A sample world that a test owns, and runs of ``run --unattended`` on it, as often as the test likes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.plan import Plan, read_plan
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.supabase import connect_as_superuser
from tekup_migrate.rehearsal.world import World, make_world
from tekup_migrate.secret_source import PASSWORD, variable
from tests.commands import Ended, environment
from tests.plan_file import write_plan

LIBRARY = Path(__file__).parent / "plans" / "library.toml"


@dataclass(frozen=True)
class OwnWorld:
    """A world, its plan as a file, and the state directory of its runs."""

    world: World
    plan_file: Path
    state: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which a run finds the world's secrets and its stand-ins for programs."""
        found = {"PATH": os.pathsep.join((str(self.world.programs), os.environ["PATH"]))}
        for name, project in self.world.projects.items():
            for secret in (project.keys.anon, project.keys.service):
                found[variable(name, secret.kind)] = secret.reveal()
            found[variable(name, PASSWORD)] = project.password.reveal()
        return found

    def arguments(self, *more: object) -> list[str]:
        """The arguments of an unattended run."""
        return [str(each) for each in ("--plan", self.plan_file, "--state", self.state, "run", "--unattended", *more)]

    def start(self, program: tuple[str, ...], *more: object, extra: Mapping[str, str] | None = None) -> Running:
        """Start a run, by the command or by a script that wraps it."""
        return subprocess.Popen(
            [sys.executable, *program, *self.arguments(*more)],
            env=environment({**self.variables, **(extra or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(self, *more: object, program: tuple[str, ...] = ("-m", "tekup_migrate"), **extra: str) -> Ended:
        """Run to the end, or until the script kills itself."""
        process = self.start(program, *more, extra=extra)
        out, err = process.communicate(timeout=150)
        return Ended(process.returncode, out, err)

    def value(self, project: str, sql: str) -> object:
        """Return one value from a project's database."""
        return asyncio.run(self._value(project, sql))

    async def _value(self, project: str, sql: str) -> object:
        connection = await connect_as_superuser(self.world.projects[project].server)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()


Running = subprocess.Popen[str]


@contextmanager
def own_world(plan_path: Path, *, rows: int) -> Iterator[OwnWorld]:
    """Make a world for the length of the block, free of any event loop."""
    plan: Plan = read_plan(plan_path)
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:

        async def make() -> World:
            directory = await stack.enter_async_context(rehearsal_directory())
            return await make_world(plan, plan_path.with_suffix(""), directory, stack, rows=rows)

        try:
            world = runner.run(make())
            plan_file = world.directory / plan_path.name
            write_plan(world.plan, plan_file)
            yield OwnWorld(world, plan_file, world.directory / "state")
        finally:
            runner.run(stack.aclose())
