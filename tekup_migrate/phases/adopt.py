"""Phase kind ``adopt``: settle an app that lives on the target already."""

from __future__ import annotations

import fnmatch

from tekup_migrate.phases.access import connected, label_of
from tekup_migrate.phases.answering import Answers, run_check
from tekup_migrate.phases.backing_up import BackUpAgain
from tekup_migrate.phases.encryption import KeysKept, NoteKeys
from tekup_migrate.phases.env import RewriteEnv
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.prisma import Generate, Protect, Push
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Evidence, Figure, Step, Verdict


def adopt_steps(plan: Plan, phase: Phase) -> tuple[Step, ...]:
    """Return the steps of an adopt phase, as the app's traits ask for them."""
    app = plan.apps[phase.app]
    steps: list[Step] = []
    if app.encryption:
        steps.append(NoteKeys(plan, phase))
    steps.append(RewriteEnv(plan, phase))
    if app.tables:
        steps.append(Tables(plan, phase))
    if app.prisma:
        steps += [Protect(plan, phase), Generate(plan, phase), BackUpAgain(plan, phase), Push(plan, phase)]
    if app.commands.checks:
        steps.append(Checks(plan, phase))
    steps.append(Answers(plan, phase, phase.app, name="answers"))
    if app.encryption:
        steps.append(KeysKept(plan, phase))
    return tuple(steps)


class Tables(Observation):
    """Looks whether the app's tables are in the target, with rows."""

    why = "The app lives on the target already: its tables must be there before it is asked to use them."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Find the tables of {plan.apps[phase.app].title}"
        super().__init__(id=f"{phase.id}.tables", phase=phase.id, title=title)
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the tables."""
        return tuple(f"public.{name}" for name in context.plan.apps[self.app].tables)

    def target(self, context: Context) -> str:
        """Return the target's label."""
        return label_of(context, context.plan.project_id("target"))

    async def verify(self, context: Context) -> Evidence:
        """Compare the plan's names with the catalog."""
        from tekup_migrate.postgres.inventory import inventory

        async with connected(context, context.plan.project_id("target")) as connection:
            tables = await inventory(connection)
        wanted = context.plan.apps[self.app].tables
        missing = [name for name in wanted if not any(fnmatch.fnmatchcase(t.name, name) for t in tables)]
        found = [t for t in tables if any(fnmatch.fnmatchcase(t.name, name) for name in wanted)]
        rows = sum(table.rows for table in found)
        return Evidence(
            verdict=Verdict.DIFFERS if missing else Verdict.PASSED,
            summary=f"missing: {', '.join(missing)}" if missing else f"{len(found)} tables, {rows:,} rows",
            facts=tuple(f"{table.name}: {table.rows:,} rows" for table in found),
            figures=(Figure("tables", len(found)), Figure("rows", rows)),
        )


class Checks(Observation):
    """Runs the app's own checks against the target."""

    why = "The app's own tests know best what it needs from its database."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Run the checks of {plan.apps[phase.app].title}"
        super().__init__(id=f"{phase.id}.checks", phase=phase.id, title=title)
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the commands."""
        return tuple(" ".join(argv) for argv in context.plan.apps[self.app].commands.checks)

    def target(self, context: Context) -> str:
        """Return the app's directory."""
        return str(context.plan.apps[self.app].directory)

    async def verify(self, context: Context) -> Evidence:
        """Run them, one after the other."""
        app = context.plan.apps[self.app]
        facts = [await run_check(context, app, argv) for argv in app.commands.checks]
        return Evidence(
            verdict=Verdict.PASSED, summary=f"{len(facts)} of {len(facts)} commands ended well", facts=tuple(facts)
        )
