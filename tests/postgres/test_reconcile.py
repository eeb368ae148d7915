"""Copying, resuming, catching up and verifying on real servers."""

from __future__ import annotations

import pytest

from tekup_migrate.events import ChunkState
from tekup_migrate.postgres.outcome import DifferenceKind, Policy
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

NOTES = """
    CREATE TYPE mood AS ENUM ('calm', 'keen', 'a "quoted", label');
    CREATE TABLE notes (
        id uuid PRIMARY KEY, title text NOT NULL, body text, mood mood, attributes jsonb, tags text[],
        embedding extensions.vector(64), updated_at timestamptz NOT NULL DEFAULT now(),
        length int GENERATED ALWAYS AS (length(title)) STORED
    )
"""
FILL = """
    INSERT INTO notes (id, title, body, mood, attributes, tags, embedding, updated_at)
    SELECT md5(n::text)::uuid, 'note ' || n, CASE WHEN n % 3 > 0 THEN repeat('body ' || n, n % 50) END,
           CASE WHEN n % 5 > 0 THEN 'keen'::mood END, jsonb_build_object('n', n), ARRAY['a', NULL, n::text],
           (SELECT array_agg(sin(n * i)) FROM generate_series(1, 64) AS i)::extensions.vector, '2026-01-01'
    FROM generate_series(1, {count}) AS n
"""


@pytest.fixture
async def notes(sides: Pair) -> Pair:
    await sides.on_both(NOTES)
    await sides.on_source(FILL.format(count=5000))
    return sides


async def test_a_first_copy_makes_the_target_equal_and_proves_it(notes: Pair) -> None:
    outcome = await notes.reconcile("notes")
    assert outcome.verdict is Verdict.PASSED
    assert outcome.tally.sent.rows == 5000
    assert outcome.tally.source == outcome.tally.target
    assert outcome.tally.chunks > 1
    await notes.assert_equal("notes")
    last = {event.index: event.state for event in notes.chunk_events()}
    assert set(last.values()) == {ChunkState.VERIFIED}


async def test_a_second_pass_sends_nothing(notes: Pair) -> None:
    await notes.reconcile("notes")
    outcome = await notes.reconcile("notes")
    assert outcome.tally.sent.bytes == 0
    assert outcome.tally.equal == outcome.tally.chunks


async def test_catching_up_sends_only_what_changed(notes: Pair) -> None:
    await notes.reconcile("notes")
    await notes.on_source("""
        UPDATE notes SET body = 'changed' WHERE title IN ('note 7', 'note 4711');
        DELETE FROM notes WHERE title = 'note 99';
        UPDATE notes SET id = gen_random_uuid() WHERE title = 'note 100';
        INSERT INTO notes (id, title) VALUES (gen_random_uuid(), 'new')
    """)
    outcome = await notes.reconcile("notes")
    assert outcome.verdict is Verdict.PASSED
    assert outcome.tally.sent.rows == 4
    assert outcome.tally.deleted == 2
    await notes.assert_equal("notes")


async def test_verifying_names_the_rows_and_columns_that_differ_and_writes_nothing(notes: Pair) -> None:
    await notes.reconcile("notes")
    await notes.on_target("""
        UPDATE notes SET body = 'tampered' WHERE title = 'note 7';
        DELETE FROM notes WHERE title = 'note 8';
        INSERT INTO notes (id, title) VALUES (gen_random_uuid(), 'stranger')
    """)
    before = (await notes.contents("notes"))[1]
    outcome = await notes.verify("notes")
    assert outcome.verdict is Verdict.DIFFERS
    assert (outcome.tally.changed, outcome.tally.only_source, outcome.tally.only_target) == (1, 1, 1)
    changed = next(row for row in outcome.samples if row.kind is DifferenceKind.CHANGED)
    assert [column.name for column in changed.columns] == ["body"]
    assert changed.columns[0].target == "tampered"
    assert (await notes.contents("notes"))[1] == before


async def test_conflicts_are_counted_and_nothing_is_touched_without_a_decision(notes: Pair) -> None:
    await notes.reconcile("notes")
    await notes.on_target("UPDATE notes SET body = 'theirs' WHERE title = 'note 7'")
    await notes.on_source("INSERT INTO notes (id, title) VALUES (gen_random_uuid(), 'new')")
    before = (await notes.contents("notes"))[1]
    outcome = await notes.reconcile("notes", policy=Policy.REFUSE)
    assert outcome.verdict is Verdict.DIFFERS
    assert not outcome.wrote
    assert outcome.tally.changed == 1
    assert (await notes.contents("notes"))[1] == before
