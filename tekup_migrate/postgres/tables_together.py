"""Writing several tables that refer to each other: parents first, and rows that go away children first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from tekup_migrate.postgres.foreign_keys import read_foreign_keys
from tekup_migrate.postgres.outcome import TableMove, TableOutcome
from tekup_migrate.postgres.referrers import Referrers, still_referred
from tekup_migrate.postgres.side import Side


async def in_order(
    written: Side, moves: Sequence[TableMove], reconcile: Callable[[TableMove], Awaitable[TableOutcome]]
) -> tuple[TableOutcome, ...]:
    """Reconcile tables, and those again whose rows could not be deleted before other tables were done.

    Args:
        written: the side whose tables are written.
        moves: parents before the tables that refer to them.
        reconcile: does one table; called twice for a table that held rows back.

    Raises:
        StillReferredError: rows that shall go are referred to by rows that stay.
    """
    outcomes = {move: await reconcile(move) for move in moves}
    for move in reversed(moves):
        first = outcomes[move]
        if first.tally.held:
            outcomes[move] = _both(first, await reconcile(move))
    for move, outcome in outcomes.items():
        if outcome.tally.held:
            raise await _still_referred(written, move, outcome.tally.held)
    return tuple(outcomes.values())


def _both(first: TableOutcome, second: TableOutcome) -> TableOutcome:
    sent, deleted = first.tally.sent + second.tally.sent, first.tally.deleted + second.tally.deleted
    return replace(
        second,
        tally=replace(second.tally, sent=sent, deleted=deleted),
        samples=first.samples,
        wrote=first.wrote or second.wrote,
        seconds=first.seconds + second.seconds,
    )


async def _still_referred(written: Side, move: TableMove, held: int) -> Exception:
    async with written.connection() as connection:
        keys = await read_foreign_keys(connection, [move.target])
    pointing = tuple(key for key in keys if key.parent == move.target)
    return still_referred(move.target, Referrers(move.target, pointing), held)
