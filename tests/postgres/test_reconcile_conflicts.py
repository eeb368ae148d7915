"""Rows that a write could lose: counted, shown, and settled only as the operator says."""

from __future__ import annotations

import pytest

from tekup_migrate.postgres import chunks, clocks
from tekup_migrate.postgres.outcome import DifferenceKind, Policy
from tekup_migrate.postgres.table import TableUnfitError
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair


@pytest.fixture
async def settled(sides: Pair) -> Pair:
    """Row 1 is newer on the source, 2 newer on the target, 3 of the same age, 4 and 5 on one side each."""
    await sides.on_both("CREATE TABLE notes (id int PRIMARY KEY, body text, updated_at timestamptz)")
    await sides.on_both("INSERT INTO notes SELECT n, 'same', '2026-01-01' FROM generate_series(100, 400) AS n")
    await sides.on_source("""
        INSERT INTO notes VALUES (1, 'source', '2026-02-02'), (2, 'source', '2026-02-01'), (3, 'source', '2026-02-01'),
                                 (4, 'only source', '2026-02-01')
    """)
    await sides.on_target("""
        INSERT INTO notes VALUES (1, 'target', '2026-02-01'), (2, 'target', '2026-02-02'), (3, 'target', '2026-02-01'),
                                 (5, 'only target', '2026-02-01')
    """)
    return sides


async def _target(sides: Pair) -> dict[int, str]:
    async with sides.target.connection() as connection:
        return {row[0]: row[1] for row in await connection.fetch("SELECT id, body FROM public.notes WHERE id < 100")}


BEFORE = {1: "target", 2: "target", 3: "target", 5: "only target"}


async def test_without_a_decision_nothing_is_touched_and_every_difference_is_shown(settled: Pair) -> None:
    outcome = await settled.reconcile("notes", policy=Policy.REFUSE)
    assert outcome.verdict is Verdict.DIFFERS
    assert not outcome.wrote
    assert await _target(settled) == BEFORE
    kinds = sorted((row.key[0][1], row.kind) for row in outcome.samples if row.kind is not DifferenceKind.CHANGED)
    assert kinds == [("4", DifferenceKind.ONLY_SOURCE), ("5", DifferenceKind.ONLY_TARGET)]
    changed = next(row for row in outcome.samples if row.key == (("id", "1"),))
    assert next((c.name, c.source, c.target) for c in changed.columns) == ("body", "source", "target")


async def test_without_a_decision_rows_only_on_the_source_are_copied(settled: Pair) -> None:
    await settled.on_target("DELETE FROM notes WHERE id < 100")
    outcome = await settled.reconcile("notes", policy=Policy.REFUSE)
    assert outcome.verdict is Verdict.PASSED
    assert outcome.tally.sent.rows == 4
    await settled.assert_equal("notes")


async def test_the_source_wins_everything(settled: Pair) -> None:
    assert (await settled.reconcile("notes", policy=Policy.SOURCE)).verdict is Verdict.PASSED
    await settled.assert_equal("notes")


async def test_the_target_keeps_what_it_has_and_gets_what_it_lacks(settled: Pair) -> None:
    outcome = await settled.reconcile("notes", policy=Policy.TARGET)
    assert (outcome.verdict, outcome.tally.kept) == (Verdict.PASSED, 4)
    assert await _target(settled) == BEFORE | {4: "only source"}
    assert (await settled.verify("notes", policy=Policy.TARGET)).verdict is Verdict.PASSED
    assert (await settled.verify("notes")).verdict is Verdict.DIFFERS


async def test_the_newer_row_wins_and_a_tie_is_left_to_the_operator(settled: Pair) -> None:
    outcome = await settled.reconcile("notes", policy=Policy.NEWEST)
    assert (outcome.verdict, outcome.tally.unresolved) == (Verdict.DIFFERS, 1)
    assert await _target(settled) == BEFORE | {1: "source", 4: "only source"}


async def test_a_natural_key_under_two_ids_is_found_before_anything_is_written(sides: Pair) -> None:
    await sides.on_both(
        "CREATE TABLE files (id int PRIMARY KEY, repository text, path text, UNIQUE (repository, path))"
    )
    await sides.on_source("INSERT INTO files SELECT n, 'r', 'p' || n FROM generate_series(1, 500) AS n")
    await sides.on_target("INSERT INTO files VALUES (9001, 'r', 'p7'), (8, 'r', 'p8')")
    for policy in (Policy.REFUSE, Policy.TARGET):
        outcome = await sides.reconcile("files", policy=policy)
        assert (outcome.verdict, outcome.wrote) == (Verdict.DIFFERS, False)
        assert [(clash.columns, clash.count) for clash in outcome.clashes] == [(("repository", "path"), 1)]
        assert outcome.clashes[0].sample == ("(r, p7) is 7 on the source and 9001 on the target",)
    assert (await sides.reconcile("files", policy=Policy.SOURCE)).verdict is Verdict.PASSED
    await sides.assert_equal("files")


@pytest.mark.parametrize(
    "index", ["(repository, path) NULLS NOT DISTINCT", "(repository) WHERE state = 'live' AND path IS NULL"]
)
async def test_a_natural_key_of_some_rows_or_with_nulls_is_found_as_well(sides: Pair, index: str) -> None:
    await sides.on_both(f"""
        CREATE TYPE state AS ENUM ('live', 'gone');
        CREATE TABLE files (id int PRIMARY KEY, repository text, path text, state state);
        CREATE UNIQUE INDEX ON files {index};
    """)
    await sides.on_source("INSERT INTO files VALUES (1, 'r', NULL, 'live'), (2, 's', 'x', 'live')")
    await sides.on_target("INSERT INTO files VALUES (9, 'r', NULL, 'live'), (8, 's', 'y', 'live')")
    outcome = await sides.reconcile("files", policy=Policy.TARGET)
    assert (outcome.verdict, outcome.wrote) == (Verdict.DIFFERS, False)
    assert [clash.count for clash in outcome.clashes] == [1]


TWINS = {"numeric": ("1.0", "1.00"), "interval": ("'1 day'", "'24 hours'"), "jsonb": ("'1'", "'1.0'")}


@pytest.mark.parametrize("key", TWINS)
async def test_a_key_written_otherwise_on_both_sides_is_one_row(sides: Pair, key: str) -> None:
    ours, theirs = TWINS[key]
    await sides.on_both(f"CREATE TABLE notes (id {key} PRIMARY KEY, body text, updated_at timestamptz)")
    await sides.on_source(f"INSERT INTO notes VALUES ({ours}, 'source', '2026-02-02'), ('5', 'new', '2026-02-02')")
    await sides.on_target(f"INSERT INTO notes VALUES ({theirs}, 'target', '2026-02-01')")
    kept = await sides.reconcile("notes", policy=Policy.TARGET)
    assert (kept.verdict, kept.tally.sent.rows, kept.tally.kept) == (Verdict.PASSED, 1, 1)
    newest = await sides.reconcile("notes", policy=Policy.NEWEST)
    assert (newest.verdict, newest.tally.unresolved) == (Verdict.DIFFERS, 1)
    assert (await sides.reconcile("notes", policy=Policy.SOURCE)).verdict is Verdict.PASSED
    await sides.assert_equal("notes")


async def test_a_key_written_otherwise_is_one_row_in_whatever_chunk_it_is(
    sides: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "_GRAIN_BYTES", 2500)
    monkeypatch.setattr(chunks, "_FIRST_CHUNK_BYTES", 2500)
    await sides.on_both("CREATE TABLE notes (id jsonb PRIMARY KEY, body text, updated_at timestamptz)")
    await sides.on_source("INSERT INTO notes VALUES ('[1.0, 5]', 'source', '2026-02-02')")
    await sides.on_source("INSERT INTO notes SELECT jsonb_build_array(1.0, n) FROM generate_series(60, 89) AS n")
    await sides.on_target("INSERT INTO notes VALUES ('[1.00, 5]', 'target', '2026-02-01')")
    kept = await sides.reconcile("notes", policy=Policy.TARGET)
    assert (kept.verdict, kept.tally.sent.rows, kept.tally.kept) == (Verdict.PASSED, 30, 1)
    newest = await sides.reconcile("notes", policy=Policy.NEWEST)
    assert (newest.verdict, newest.tally.unresolved) == (Verdict.DIFFERS, 1)


async def test_clocks_that_disagree_settle_nothing_by_age(settled: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two servers on one machine share its clock: the newer one is made to say that it is 90 seconds ahead.
    ahead = "CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000 THEN 90 ELSE 0 END"
    monkeypatch.setattr(clocks, "_NOW", f"{clocks._NOW} + {ahead}")
    with pytest.raises(TableUnfitError, match=r"public\.notes cannot be settled by age") as refused:
        await settled.reconcile("notes", policy=Policy.NEWEST)
    assert refused.value.happened == "The two servers' clocks are 90 seconds apart."
    assert await _target(settled) == BEFORE
    assert (await settled.reconcile("notes", policy=Policy.SOURCE)).verdict is Verdict.PASSED
