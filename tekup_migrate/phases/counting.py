"""Sequences that no column owns: they go on at the target where the source stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.phases.access import both_connected, label_of
from tekup_migrate.phases.schema import transplant_of
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    from tekup_migrate.postgres.transplant.positions import Position


async def sequences_behind(context: Context, app: str) -> tuple[Position, ...]:
    """Return where the target's sequences must be set to, reading only."""
    from tekup_migrate.postgres.transplant.positions import positions_behind

    items = (await transplant_of(context, app)).items
    async with both_connected(context) as (source, target):
        return await positions_behind(source, target, items)


async def carry_sequences(context: Context, app: str) -> None:
    """Set them; one that is far enough is left alone."""
    from tekup_migrate.postgres.transplant.positions import carry_positions

    items = (await transplant_of(context, app)).items
    async with both_connected(context) as (source, target):
        for statement in await carry_positions(source, target, items):
            context.ran("sql", statement, label_of(context, context.plan.project_id("target")))
