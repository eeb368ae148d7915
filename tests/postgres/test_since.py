"""Days after the cut-over: what was written to the source since is told apart from the target's own life."""

from __future__ import annotations

import pytest

from tekup_migrate.phases.since_cut_over import kept_evidence, late_evidence
from tekup_migrate.postgres.outcome import Policy, TableMove
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.since import Baseline, Since, look_since, take_baseline
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

MOVE = TableMove(Relation("public", "notes"), Relation("public", "notes"))


class CutOver:
    """A table that was equal on both sides when its baseline was taken."""

    def __init__(self, sides: Pair, baseline: Baseline) -> None:
        self.sides = sides
        # As it comes back from a run's memory.
        self.baseline = Baseline.decoded(baseline.encoded())

    async def look(self) -> Since:
        return await look_since(self.sides.source, self.sides.target, MOVE, self.baseline)


async def cut_over(sides: Pair, columns: str, values: str, *, policy: Policy = Policy.OURS) -> CutOver:
    await sides.on_both(f"CREATE TABLE notes ({columns})")
    await sides.on_source(f"INSERT INTO notes SELECT {values} FROM generate_series(1, 3000) AS n")
    if policy is not Policy.OURS:
        await sides.on_target("INSERT INTO notes VALUES (1, 'kept', '2026-01-01'), (9001, 'kept', '2026-01-01')")
    assert (await sides.reconcile("notes", policy=policy)).verdict is Verdict.PASSED
    return CutOver(sides, await take_baseline(sides.source, sides.target, MOVE))


@pytest.fixture
async def live(sides: Pair) -> CutOver:
    return await cut_over(
        sides, "id int PRIMARY KEY, body text, updated_at timestamptz DEFAULT now()", "n, 'b' || n, '2026-01-01'"
    )


async def test_nothing_happened(live: CutOver) -> None:
    found = await live.look()
    assert found == Since(MOVE, source_rows=3000)
    assert late_evidence([found]).verdict is Verdict.PASSED
    assert kept_evidence([found], has_word=False).verdict is Verdict.PASSED


async def test_what_the_live_app_did_is_expected(live: CutOver) -> None:
    await live.sides.on_target("""
        INSERT INTO notes SELECT n, 'new' FROM generate_series(5001, 5100) AS n;
        UPDATE notes SET body = 'edited', updated_at = now() WHERE id % 100 = 0 AND id <= 3000
    """)
    found = await live.look()
    # 100 new rows; every hundredth of the 3 000 old ones was edited.
    assert (found.new, found.changed, found.late, found.unexplained, found.missing) == (100, 30, 0, 0, 0)
    assert late_evidence([found]).verdict is Verdict.PASSED
    assert kept_evidence([found], has_word=False).verdict is Verdict.PASSED


async def test_a_row_written_to_the_source_is_late_whatever_its_timestamp_says(live: CutOver) -> None:
    await live.sides.on_target("UPDATE notes SET body = 'edited', updated_at = now() WHERE id <= 50")
    await live.sides.on_source("""
        INSERT INTO notes VALUES (7777, 'late', '2020-01-01');
        UPDATE notes SET body = 'late' WHERE id = 2000
    """)
    found = await live.look()
    assert (found.late, found.changed) == (2, 50)
    assert {str(row) for row in found.samples} == {"id = 7777: only on the source", "id = 2000: different in body"}
    for evidence in (late_evidence([found]), kept_evidence([found], has_word=True)):
        assert evidence.verdict is Verdict.DIFFERS
        assert evidence.summary == "2 rows were written to the source since the last pass and are not at the target"
    # Once they are at the target as well, nothing would be lost.
    await live.sides.on_target("""
        INSERT INTO notes VALUES (7777, 'late', '2020-01-01'); UPDATE notes SET body = 'late' WHERE id = 2000
    """)
    assert late_evidence([await live.look()]).verdict is Verdict.PASSED


async def test_a_row_deleted_at_the_source_is_told(live: CutOver) -> None:
    await live.sides.on_source("DELETE FROM notes WHERE id IN (5, 6)")
    await live.sides.on_target("INSERT INTO notes VALUES (8000, 'new')")
    found = await live.look()
    assert (found.gone, found.new, found.late) == (2, 1, 0)
    assert late_evidence([found]).summary == "at least 2 were deleted there"


async def test_what_nothing_explains_is_never_called_passed(live: CutOver) -> None:
    await live.sides.on_target("DELETE FROM notes WHERE id = 9; UPDATE notes SET body = 'odd' WHERE id IN (10, 11)")
    found = await live.look()
    assert (found.missing, found.unexplained, found.changed) == (1, 2, 0)
    assert late_evidence([found]).verdict is Verdict.PASSED
    unknown = kept_evidence([found], has_word=False)
    assert unknown.verdict is Verdict.UNVERIFIED
    assert "id = 9: only on the source" in "\n".join(unknown.facts)
    assert kept_evidence([found], has_word=True).verdict is Verdict.ATTESTED


async def test_rows_that_were_left_different_by_choice_stay_settled(sides: Pair) -> None:
    live = await cut_over(
        sides,
        "id int PRIMARY KEY, body text, updated_at timestamptz",
        "n, 'b' || n, '2026-02-01'",
        policy=Policy.TARGET,
    )
    found = await live.look()
    assert (found.settled, found.late, found.missing, found.unexplained) == (2, 0, 0, 0)
    assert kept_evidence([found], has_word=False).verdict is Verdict.PASSED


async def test_a_table_without_a_key_is_told_as_a_whole(sides: Pair) -> None:
    live = await cut_over(sides, "body text", "'b' || n % 10")
    assert not (await live.look()).needs_word
    await sides.on_target("INSERT INTO notes VALUES ('new')")
    found = await live.look()
    assert (found.named, found.is_late, found.needs_word) == (False, False, True)
    await sides.on_source("INSERT INTO notes VALUES ('late')")
    assert (await live.look()).is_late


async def test_another_shape_cannot_be_compared_with(live: CutOver) -> None:
    await live.sides.on_both("ALTER TABLE notes ADD more int")
    assert not (await live.look()).told
