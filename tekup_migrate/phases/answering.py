"""Starting apps and asking them: alone, or all at once while the target's connections are counted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tekup_migrate.events import OutputLine
from tekup_migrate.phases.observation import Observation
from tekup_migrate.plan import App, Phase, Plan, Probe
from tekup_migrate.steps import Context, Evidence, Figure, Verdict

if TYPE_CHECKING:
    from tekup_migrate.apps.health import ProbeResult
    from tekup_migrate.apps.processes import RunningProcess

START_LIMIT = 90.0
"""Seconds that an app gets to answer for the first time; a cold monorepo compiles first."""

_OVERRULING = ("SUPABASE_", "NEXT_PUBLIC_SUPABASE_", "VITE_SUPABASE_", "DATABASE_URL", "DIRECT_URL", "PG")


class Answered(Struct, frozen=True):
    """How one address of an app answered."""

    title: str
    url: str
    good: bool
    milliseconds: float
    found: str

    @property
    def line(self) -> str:
        """The answer as a line of evidence."""
        return f"{self.title}: {self.url} {self.found}, {self.milliseconds:.0f} ms"


class Answers(Observation):
    """Starts an app from its own env files and asks it at every address of the plan."""

    why = "A moved table is worth nothing while the app that needs it does not answer."

    def __init__(self, plan: Plan, phase: Phase, app: str, *, name: str) -> None:
        super().__init__(id=f"{phase.id}.{name}", phase=phase.id, title=f"Start {plan.apps[app].title} and ask it")
        self.app = app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the command and the addresses."""
        app = context.plan.apps[self.app]
        return (" ".join(app.commands.start), *(f"GET {address(app, wanted)}" for wanted in app.probes))

    def target(self, context: Context) -> str:
        """Return the app's directory."""
        return str(context.plan.apps[self.app].directory)

    async def verify(self, context: Context) -> Evidence:
        """Start it, ask it, stop it."""
        app = context.plan.apps[self.app]
        if not app.commands.start or not app.probes:
            return Evidence(verdict=Verdict.UNVERIFIED, summary="the plan names no start command or no address to ask")
        async with running(context, app):
            answers = [await ask(app, wanted) for wanted in app.probes]
        return answered_evidence(answers)


def answered_evidence(answers: list[Answered]) -> Evidence:
    """Return the evidence of some answers: passed when every address answered well."""
    good = sum(answer.good for answer in answers)
    return Evidence(
        verdict=Verdict.PASSED if good == len(answers) else Verdict.DIFFERS,
        summary=f"{good} of {len(answers)} addresses answer well",
        facts=tuple(answer.line for answer in answers),
        figures=tuple(Figure(answer.title, round(answer.milliseconds, 1), "ms") for answer in answers),
    )


@asynccontextmanager
async def running(context: Context, app: App) -> AsyncIterator[RunningProcess]:
    """Run an app for the length of the block, from the moment its first address answers.

    Where this process was killed while it ran the app, what is left of that is ended first.

    Raises:
        MigrationError: its port is in use, it does not start, or does not answer in time.
    """
    from tekup_migrate.apps.health import wait_until_healthy
    from tekup_migrate.apps.ports import require_free_port
    from tekup_migrate.apps.processes import start_process

    await _end_leftover(context, app)
    if app.port:
        await require_free_port(app.port)
    command = " ".join(app.commands.start)
    context.ran("command", command, str(app.directory))
    async with start_process(
        app.commands.start,
        cwd=app.directory,
        environment=child_environment(context.environment),
        on_line=lambda line: context.listen(OutputLine(context.redact(line))),
    ) as process:
        context.memory.remember(_note(app), msgspec.json.encode((process.pid, process.started)))
        await context.gate.guard(wait_until_healthy(address(app, app.probes[0]), process, limit=START_LIMIT))
        yield process


async def _end_leftover(context: Context, app: App) -> None:
    from tekup_migrate.process_tree import end_leftover

    kept = context.memory.recall(_note(app))
    if kept is not None:
        await end_leftover(*msgspec.json.decode(kept, type=tuple[int, float]))


def _note(app: App) -> str:
    return f"running:{app.directory}"


async def ask(app: App, wanted: Probe) -> Answered:
    """Ask one address of a running app once."""
    from tekup_migrate.apps.health import probe

    url = address(app, wanted)
    result = await probe(url, timeout=30.0)
    good, found = _judge(result, rows=wanted.rows)
    return Answered(wanted.title, url, good, result.milliseconds, found)


def address(app: App, wanted: Probe) -> str:
    """Return a probe's address with the app's port filled in."""
    return wanted.url.replace("{port}", str(app.port))


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for an app without what would overrule its own env files.

    dotenv libraries do not replace a variable that is set already, so one that happens to be set in this
    terminal would make the app answer from another database than its files name.
    """
    return {key: value for key, value in environment.items() if not key.upper().startswith(_OVERRULING)}


def _judge(result: ProbeResult, *, rows: bool) -> tuple[bool, str]:
    if result.failure:
        return False, f"did not answer: {result.failure}"
    if not result.healthy:
        return False, f"answered {result.status}: {result.summary}"
    if not rows:
        return True, f"answered {result.status}"
    count = rows_in(result.body)
    return count > 0, f"answered {result.status} with {count} rows"


def rows_in(body: str) -> int:
    """Return how many rows a JSON answer holds: the longest list in it, at the top or one level down."""
    try:
        value = json.loads(body)
    except ValueError:
        return 0
    lists = [value] if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return max((len(found) for found in lists if isinstance(found, list)), default=0)


async def run_check(context: Context, app: App, argv: tuple[str, ...], *, limit: float = 1800.0) -> str:
    """Run one of an app's own commands to its end; return a line about it.

    Raises:
        CommandFailedError: it failed; its last lines are in the details.
    """
    from tekup_migrate.apps.processes import run_command

    context.ran("command", " ".join(argv), str(app.directory))
    finished = await context.gate.guard(
        run_command(
            argv,
            cwd=app.directory,
            environment=child_environment(context.environment),
            timeout=limit,
            on_line=lambda line: context.listen(OutputLine(context.redact(line))),
        )
    )
    finished.require_success()
    return f"`{' '.join(argv)}` ended well after {finished.seconds:.1f} s"
