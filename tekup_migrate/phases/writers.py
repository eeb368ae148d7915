"""The manual step before the cut-over: whatever writes to the source is stopped, and the source is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.phases.access import connected, label_of
from tekup_migrate.phases.attesting import attest
from tekup_migrate.phases.resolutions import planned_moves
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Danger, Evidence, Manual, Preview, Remark, Step, Undo, Verdict

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.activity import Sessions, Watched


class StopWriters(Step):
    """Asks the operator to stop the app's writers, then looks whether the source is quiet."""

    danger = Danger.SAFE
    undo = Undo.NOTHING
    undo_note = "Start them again whenever you like; until the cut-over they still use the source."
    why = (
        "Rows that are written to the source after the last pass would be missing from the target. So the writers stop"
        " before it, and start again on the target after the cut-over."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.writers", phase=phase.id, title="Stop what writes to the source")
        self.app = phase.app

    async def preview(self, context: Context) -> Preview:
        """Say what to stop, and who is connected."""
        writers = context.plan.apps[self.app].writers
        async with connected(context, context.plan.project_id("source")) as connection:
            found = await _others(connection)
        return Preview(
            title=self.title,
            target=label_of(context, context.plan.project_id("source")),
            verb="Stopped",
            undo=self.undo_note,
            actions=(Manual(writers.stop, writers.address), *(Remark(f"Connected: {client}") for client in found)),
        )

    async def apply(self, context: Context) -> None:
        """Ask for the operator's word."""
        if context.memory.recall(self.id) is not None:
            return
        found, watched = await self._look(context)
        app = context.plan.apps[self.app]
        lines = [app.writers.stop, "", *_lines(found, watched)]
        await attest(context, id=self.id, title=self.title, instruction="\n".join(lines), address=app.writers.address)
        context.memory.remember(self.id, b"attested")

    def forget(self, context: Context) -> None:
        """Forget the operator's word: the writers may run again from here on."""
        context.memory.forget(self.id)

    async def verify(self, context: Context) -> Evidence:
        """Watch the moved tables of the source for a while."""
        found, watched = await self._look(context)
        names = context.plan.apps[self.app].writers.application_names
        known = [client for client in found if client.application in names]
        if not watched.is_quiet or known:
            by = f", written to by {', '.join(watched.writers)}" if watched.writers else ""
            return Evidence(
                verdict=Verdict.DIFFERS, summary=f"the source is still in use{by}", facts=_lines(found, watched)
            )
        attested = context.memory.recall(self.id) is not None
        return Evidence(
            verdict=Verdict.ATTESTED if attested else Verdict.UNVERIFIED,
            summary="the operator says so, and no row of the source changed while it was watched"
            if attested
            else "no row changed while it was watched, but nobody said that the writers are stopped",
            facts=_lines(found, watched),
        )

    async def _look(self, context: Context) -> tuple[tuple[Sessions, ...], Watched]:
        from tekup_migrate.postgres.activity import watch_writes

        async with connected(context, context.plan.project_id("source")) as connection:
            moves = await table_moves(context, connection, planned_moves(context, self.app))
            watched = await watch_writes(connection, [move.source for move in moves])
            return await _others(connection), watched


def _lines(found: tuple[Sessions, ...], watched: Watched) -> tuple[str, ...]:
    return (
        *(f"Writing now, or holding rows not yet committed: {application}" for application in watched.writers),
        *(f"{each.table}: {each.total} rows written while it was watched" for each in watched.written),
        *(f"Connected: {client}" for client in found),
    )


async def _others(connection: asyncpg.Connection) -> tuple[Sessions, ...]:
    """Return who is connected besides us, backups' and comparisons' connections included."""
    from tekup_migrate.postgres.activity import connected as sessions

    return tuple(each for each in await sessions(connection) if each.application != "tekup-migrate")
