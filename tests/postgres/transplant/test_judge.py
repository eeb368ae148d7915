"""After a transplant ``pg_dump`` writes the same text for both sides, and after its undo the old text again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tekup_migrate.postgres.catalog import read_catalog
from tekup_migrate.postgres.comparison import TableMove
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.transplant import (
    Created,
    apply_after,
    apply_before,
    plan_transplant,
    undo,
)
from tekup_migrate.postgres.transplant.applying import created
from tests.postgres.transplant.alike_cases import ALIKE_CASES
from tests.postgres.transplant.attached_cases import ATTACHED_CASES
from tests.postgres.transplant.cases import CASES, Case
from tests.postgres.transplant.circle_cases import CIRCLE_CASES
from tests.postgres.transplant.granted_cases import GRANTED_CASES
from tests.postgres.transplant.judge import comparable, connected, dump
from tests.postgres.transplant.nasty_cases import NASTY_CASES
from tests.postgres.transplant.odd_cases import ODD_CASES
from tests.postgres.transplant.stranger_cases import STRANGER_CASES
from tests.servers import SharedServer


def moves_of(case: Case) -> list[TableMove]:
    return [
        TableMove(Relation(*old.rpartition(".")[::2]), Relation(*new.rpartition(".")[::2]))
        for old, new in case.moves.items()
    ]


@pytest.mark.parametrize(
    "case",
    [*CASES, *ATTACHED_CASES, *NASTY_CASES, *STRANGER_CASES, *CIRCLE_CASES, *ODD_CASES, *GRANTED_CASES, *ALIKE_CASES],
    ids=lambda case: case.name,
)
async def test_pg_dump_writes_the_same_text_for_both_sides_and_the_old_text_after_undo(
    case: Case, source_server: SharedServer, target_server: SharedServer
) -> None:
    server = target_server if case.newest else source_server
    async with (
        server.fresh_database() as source,
        server.fresh_database() as expected,
        target_server.fresh_database() as target,
        connected(source) as there,
        connected(expected) as wanted,
        connected(target) as here,
    ):
        await there.execute(case.sql)
        await wanted.execute(case.sql)
        await wanted.execute(case.rename or "SELECT")
        await here.execute(case.target)
        before = await dump(target)
        journal: list[Created] = []
        plan = await plan_transplant(there, here, moves_of(case))
        assert not plan.conflicts
        await apply_before(here, plan, record=journal.extend)
        if case in CIRCLE_CASES:
            halfway = await plan_transplant(there, here, moves_of(case))
            assert (halfway.before, halfway.conflicts) == ((), ()), "what is made in two goes is whole after one step"
        await apply_after(here, plan, record=journal.extend)
        for index in plan.vector_indexes:
            item = next(i for i in plan.items if i.key == index.key)
            await here.execute(item.definition)
            journal.extend(created(await read_catalog(here), [item.target]))

        finished, judged = await asyncio.gather(dump(target), dump(expected))
        assert comparable(finished) == comparable(judged)

        again = await plan_transplant(there, here, moves_of(case))
        assert [s.sql for s in (*again.before, *again.after)] == []
        assert not again.conflicts

        recalled = msgspec.json.decode(msgspec.json.encode(journal), type=list[Created])
        await undo(here, recalled)
        assert await dump(target) == before
