"""Phase kind ``testing``: each app alone, all at once while connections are counted, and the rows once more."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tekup_migrate.phases.access import connected, label_of
from tekup_migrate.phases.answering import Answered, Answers, address, ask, running
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.since_cut_over import RowsKept
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Evidence, Figure, Step, Verdict

if TYPE_CHECKING:
    from tekup_migrate.apps.connections import ConnectionPeak

ROUNDS = 5
"""How often every address of every app is asked while all of them run."""


def testing_steps(plan: Plan, phase: Phase) -> tuple[Step, ...]:
    """Return the steps of a testing phase."""
    startable = [name for name, app in plan.apps.items() if app.commands.start and app.probes]
    return (
        *(Answers(plan, phase, name, name=f"alone.{name}") for name in startable),
        Together(plan, phase),
        RowsKept(plan, phase),
    )


class Together(Observation):
    """Runs every app at once, asks all of them, and counts the target's connections meanwhile."""

    why = "Apps that shared nothing now share one database's connections. Too few of them show only under load."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.together", phase=phase.id, title="Run all apps at once and count connections")
        self.apps = [app for app in plan.apps.values() if app.commands.start and app.probes]

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name every command and address."""
        commands = tuple(f"{' '.join(app.commands.start)} in {app.directory}" for app in self.apps)
        return commands + tuple(f"GET {address(app, wanted)}" for app in self.apps for wanted in app.probes)

    def target(self, context: Context) -> str:
        """Return the target's label."""
        return label_of(context, context.plan.project_id("target"))

    async def verify(self, context: Context) -> Evidence:
        """Start all, ask all, count."""
        from tekup_migrate.apps.connections import count_connections, find_pool_errors

        async with connected(context, context.plan.project_id("target")) as connection, AsyncExitStack() as stack:
            processes = [await stack.enter_async_context(running(context, app)) for app in self.apps]
            async with count_connections(connection, interval=0.05) as sampler:
                answers = await self._ask_all()
            peak = sampler.result()
            complaints = find_pool_errors(line for process in processes for line in process.tail)
        return self._evidence(answers, peak, complaints)

    def _evidence(self, answers: list[Answered], peak: ConnectionPeak, complaints: tuple[str, ...]) -> Evidence:
        bad = [*(answer.line for answer in answers if not answer.good), *complaints]
        enough = peak.within()
        verdict = Verdict.UNVERIFIED if enough is None or not answers else Verdict.DIFFERS
        if enough and answers and not bad:
            verdict = Verdict.PASSED
        slowest = max((answer.milliseconds for answer in answers), default=0.0)
        return Evidence(
            verdict=verdict,
            summary=f"{sum(answer.good for answer in answers)} of {len(answers)} answers good,"
            f" {peak.total} of {peak.available} connections at most",
            facts=(
                *bad,
                *peak.lines,
                f"{peak.samples} samples, slowest answer {slowest:.0f} ms",
            ),
            figures=(Figure("connections at most", peak.total), Figure("slowest answer", round(slowest, 1), "ms")),
        )

    async def _ask_all(self) -> list[Answered]:
        import asyncio

        rounds: list[Answered] = []
        for _ in range(ROUNDS):
            rounds += await asyncio.gather(*(ask(app, wanted) for app in self.apps for wanted in app.probes))
        return rounds
