"""What an earlier pass proved is not read again as long as nobody touched it, and is the moment somebody did."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tekup_migrate.errors import PauseRequested
from tekup_migrate.events import Event
from tekup_migrate.postgres import chunks, proved_ranges
from tekup_migrate.postgres.chunk_work import ChunkResult, ChunkWork
from tekup_migrate.postgres.digest import Digest, RowDigests
from tekup_migrate.postgres.keys import KeyRange
from tekup_migrate.postgres.outcome import Policy
from tekup_migrate.postgres.proved_ranges import Marks, Proved, ProvedRanges
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

ROWS = 200
TABLE = """
    CREATE TYPE mood AS ENUM ('calm', 'keen');
    CREATE TABLE notes (id int PRIMARY KEY, body text, mood mood, twice int GENERATED ALWAYS AS (id * 2) STORED);
"""
_numbers = itertools.count(1)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The key ranges whose values a server was asked for, noted as they are asked."""
    asked: list[object] = []
    buckets = RowDigests.buckets

    async def noted(self: RowDigests, connection: object, part: object, *rest: object) -> object:
        asked.append(part)
        return await buckets(self, connection, part, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(RowDigests, "buckets", noted)
    return asked


@pytest.fixture
async def settled(sides: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    """A table of about 20 chunks on both sides, copied and remembered."""
    monkeypatch.setattr(chunks, "_GRAIN_BYTES", 9000)
    monkeypatch.setattr(chunks, "_FIRST_CHUNK_BYTES", 9000)
    monkeypatch.setattr(chunks, "MAX_CHUNK_BYTES", 9000)
    monkeypatch.setattr(proved_ranges, "_BATCH", 3)
    await sides.on_both(TABLE)
    await sides.on_source(f"INSERT INTO notes SELECT n, 'note ' || n, 'calm' FROM generate_series(1, {ROWS}) AS n")
    with ProvedRanges.open(tmp_path / "proved.sqlite3") as proved:
        sides.proved = proved
        first = await sides.reconcile("notes")
        assert first.tally.chunks > 15
        assert first.tally.sent.rows == ROWS
        yield sides


async def test_nothing_is_read_again_where_nobody_touched_anything(settled: Pair, read: list[object]) -> None:
    again = await settled.reconcile("notes")
    assert again.verdict is Verdict.PASSED
    assert again.tally.equal == again.tally.chunks > 15
    assert again.tally.source.rows == ROWS
    assert read == []
    settled.proved = None
    without = await settled.reconcile("notes")
    assert (without.tally.source, without.tally.target) == (again.tally.source, again.tally.target)
    assert len(read) > 15


async def test_a_comparison_reads_every_value_whatever_is_remembered(settled: Pair, read: list[object]) -> None:
    assert (await settled.verify("notes")).verdict is Verdict.PASSED
    assert len(read) > 15


async def test_where_the_source_need_not_win_nothing_is_taken_from_memory(settled: Pair, read: list[object]) -> None:
    assert (await settled.reconcile("notes", policy=Policy.TARGET)).verdict is Verdict.PASSED
    assert len(read) > 15


CHANGES = {
    "a row of the source": ("UPDATE notes SET body = 'other' WHERE id = 77", ""),
    "a row of the target": ("", "UPDATE notes SET body = 'other' WHERE id = 77"),
    "a row gone from the source": ("DELETE FROM notes WHERE id = 77", ""),
    "a row gone from the target": ("", "DELETE FROM notes WHERE id = 77"),
    "a row in another's place": ("DELETE FROM notes WHERE id = 77; INSERT INTO notes VALUES (77, 'new', 'keen')", ""),
    "a row under another key": ("UPDATE notes SET id = 5000 WHERE id = 3", ""),
    "rows at the end": ("INSERT INTO notes SELECT n, 'late', 'calm' FROM generate_series(1000, 1100) AS n", ""),
    "rows before the first": ("INSERT INTO notes SELECT n, 'early', 'calm' FROM generate_series(-100, 0) AS n", ""),
    "both sides, otherwise": (
        "UPDATE notes SET body = 'ours' WHERE id = 50",
        "UPDATE notes SET body = 'theirs' WHERE id = 50",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_touched_is_read_and_caught_up_with_and_no_more(
    settled: Pair, read: list[object], change: str
) -> None:
    ours, theirs = CHANGES[change]
    await settled.on_source(ours or "SELECT")
    await settled.on_target(theirs or "SELECT")
    again = await settled.reconcile("notes")
    assert again.verdict is Verdict.PASSED
    await settled.assert_equal("notes")
    assert again.tally.equal > 10
    assert 0 < again.tally.sent.rows + again.tally.deleted <= 111
    assert 0 < len(read) < 40
    read.clear()
    assert (await settled.reconcile("notes")).verdict is Verdict.PASSED
    assert read == [], "what was caught up with is remembered, too"


async def test_a_row_in_the_very_place_of_one_that_was_removed_is_another(settled: Pair) -> None:
    connection = await settled.source_database.connect()
    try:
        place = await connection.fetchval("SELECT max(ctid)::text FROM notes")
        key = await connection.fetchval("SELECT id FROM notes WHERE ctid = $1::text::tid", place)
        await connection.execute(f"DELETE FROM notes WHERE id = {key}")
        await connection.execute("VACUUM notes")
        made = await connection.fetchval(f"INSERT INTO notes VALUES ({key}, 'instead', 'calm') RETURNING ctid::text")
        assert made == place
    finally:
        await connection.close()
    again = await settled.reconcile("notes")
    await settled.assert_equal("notes")
    assert again.tally.sent.rows == 1


async def test_a_row_that_others_hold_on_to_differs_in_every_pass(settled: Pair) -> None:
    await settled.on_target("CREATE TABLE uses (note int REFERENCES notes); INSERT INTO uses VALUES (77)")
    await settled.on_source("DELETE FROM notes WHERE id = 77")
    for _ in range(2):
        again = await settled.reconcile("notes")
        assert (again.verdict, again.tally.held) == (Verdict.DIFFERS, 1)


WHOLLY = {
    "the target emptied": "TRUNCATE notes",
    "the target made anew": "DROP TABLE notes; CREATE TABLE notes (id int PRIMARY KEY, body text, mood mood,"
    " twice int GENERATED ALWAYS AS (id * 2) STORED);"
    f" INSERT INTO notes SELECT n, CASE n WHEN 9 THEN 'x' ELSE 'note ' || n END, 'calm' FROM generate_series(1, {ROWS}) n",
    "another file for the same rows": "VACUUM FULL notes",
    "a type written anew": "ALTER TABLE notes ALTER body TYPE varchar USING 'changed'; ALTER TABLE notes ALTER body TYPE text",
}


@pytest.mark.parametrize("change", WHOLLY)
async def test_another_file_is_another_table(settled: Pair, read: list[object], change: str) -> None:
    await settled.on_target(WHOLLY[change])
    assert (await settled.reconcile("notes")).verdict is Verdict.PASSED
    await settled.assert_equal("notes")
    assert len(read) > 15


async def test_an_enum_label_renamed_on_one_side_is_seen_though_no_row_changed(
    settled: Pair, read: list[object]
) -> None:
    await settled.on_both("ALTER TYPE mood RENAME VALUE 'keen' TO 'eager'")
    assert (await settled.reconcile("notes")).verdict is Verdict.PASSED
    assert len(read) > 15, "what the rows say may have changed"


class PausesLate(list[Event]):
    """Takes events, and asks for a pause as soon as this many key ranges have been read."""

    def __init__(self, pair: Pair, read: list[object], ranges: int) -> None:
        super().__init__()
        self.pair, self.read, self.ranges = pair, read, ranges

    def append(self, event: Event) -> None:
        """Take an event."""
        super().append(event)
        if len(self.read) >= self.ranges:
            self.pair.gate.request()


async def test_a_pause_keeps_what_was_proved_and_only_the_rest_is_read(settled: Pair, read: list[object]) -> None:
    await settled.on_source("UPDATE notes SET body = body || '!' WHERE id > 100")
    settled.events = PausesLate(settled, read, 8)
    with pytest.raises(PauseRequested):
        await settled.reconcile("notes")
    settled.gate.open()
    settled.events = []
    read.clear()
    resumed = await settled.reconcile("notes")
    await settled.assert_equal("notes")
    assert 0 < len(read) < 25
    assert resumed.tally.source.rows == ROWS


def test_a_memory_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "proved.sqlite3"
    path.write_bytes(b"no database at all" * 400)
    with ProvedRanges.open(path) as proved:
        assert list(proved.table("t", "home").batches()) == []
    assert path.stat().st_mode & 0o077 == 0


CHANGE = st.one_of(
    st.tuples(st.sampled_from("st"), st.just("UPDATE {t} SET body = body || '.' WHERE id = {a}"), st.integers(1, 40)),
    st.tuples(st.sampled_from("st"), st.just("DELETE FROM {t} WHERE id = {a}"), st.integers(1, 40)),
    st.tuples(
        st.sampled_from("st"), st.just("INSERT INTO {t} VALUES ({a}, 'i') ON CONFLICT DO NOTHING"), st.integers(-5, 60)
    ),
    st.tuples(
        st.just("s"),
        st.just("UPDATE {t} SET id = {a} + 300 WHERE id = {a} AND NOT EXISTS (SELECT FROM {t} WHERE id = {a} + 300)"),
        st.integers(1, 40),
    ),
    st.tuples(st.sampled_from("st"), st.sampled_from(["VACUUM {t}", "VACUUM FULL {t}", "TRUNCATE {t}"]), st.just(0)),
)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[ProvedRanges]:
    with ProvedRanges.open(tmp_path / "proved.sqlite3") as proved:
        yield proved


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(passes=st.lists(st.lists(CHANGE, max_size=6), min_size=1, max_size=4))
async def test_whatever_happens_between_passes_both_sides_are_equal_after_each(
    sides: Pair,
    memory: ProvedRanges,
    monkeypatch: pytest.MonkeyPatch,
    passes: list[list[tuple[str, str, int]]],
) -> None:
    monkeypatch.setattr(chunks, "_GRAIN_BYTES", 2500)
    monkeypatch.setattr(chunks, "_FIRST_CHUNK_BYTES", 2500)
    sides.proved = memory
    table = f"t{next(_numbers)}"
    await sides.on_both(f"CREATE TABLE {table} (id int PRIMARY KEY, body text)")
    await sides.on_source(f"INSERT INTO {table} SELECT n, 'row' FROM generate_series(1, 40) AS n")
    for changes in [[], *passes]:
        for where, statement, number in changes:
            await (sides.on_source if where == "s" else sides.on_target)(statement.format(t=table, a=number))
        outcome = await sides.reconcile(table)
        assert outcome.verdict is Verdict.PASSED
        ours, _ = await sides.contents(table)
        assert outcome.tally.source.rows == len(ours), "every row is in exactly one chunk"
        await sides.assert_equal(table)
    await sides.on_both(f"DROP TABLE {table}")


async def test_a_composite_whose_field_was_emptied_is_read_again_though_no_row_has_a_new_version(
    sides: Pair, memory: ProvedRanges
) -> None:
    sides.proved = memory
    await sides.on_both(
        "CREATE TYPE place AS (street text, town text); CREATE TABLE homes (id int PRIMARY KEY, at place)"
    )
    await sides.on_source("INSERT INTO homes SELECT n, ROW('street', 'town')::place FROM generate_series(1, 5) AS n")
    assert (await sides.reconcile("homes")).verdict is Verdict.PASSED
    await sides.on_target("ALTER TYPE place DROP ATTRIBUTE town; ALTER TYPE place ADD ATTRIBUTE town text")
    assert (await sides.reconcile("homes")).verdict is Verdict.PASSED
    await sides.assert_equal("homes")


async def test_a_row_that_came_into_an_empty_target_meanwhile_is_not_remembered_as_equal(
    sides: Pair, memory: ProvedRanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between seeing that the target is empty and the first chunk, somebody else writes."""
    sides.proved = memory
    await sides.on_both("CREATE TABLE late (id int PRIMARY KEY)")
    begin = ChunkWork.run

    async def after_another(self: ChunkWork, *given: object) -> ChunkResult:
        await sides.on_target("INSERT INTO late VALUES (1) ON CONFLICT DO NOTHING")
        return await begin(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(ChunkWork, "run", after_another)
    assert (await sides.reconcile("late")).verdict is Verdict.PASSED
    await sides.assert_equal("late")


async def test_a_table_that_a_crash_empties_is_read_every_time(settled: Pair, read: list[object]) -> None:
    """Its transactions need not be on disk when they end; after a crash, others may get their numbers."""
    await settled.on_target("ALTER TABLE notes SET UNLOGGED")
    assert (await settled.reconcile("notes")).verdict is Verdict.PASSED
    read.clear()
    assert (await settled.reconcile("notes")).verdict is Verdict.PASSED
    assert len(read) > 15


def test_a_memory_with_a_spoilt_page_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "proved.sqlite3"
    part, digest, marks = KeyRange(("1",), ("2",)), Digest(1, 2, 3), Marks("a" * 200, "b" * 200)
    with ProvedRanges.open(path) as proved:
        table = proved.table("t", "home")
        for place in range(1, 200):
            table.keep(Proved((place, 0), part, digest, marks))
    whole = bytearray(path.read_bytes())
    whole[4096:] = b"\x99" * (len(whole) - 4096)
    path.write_bytes(whole)
    with ProvedRanges.open(path) as proved:
        assert list(proved.table("t", "home").batches()) == []


def test_a_memory_that_finds_no_room_stops_nothing(memory: ProvedRanges) -> None:
    table = memory.table("t", "home")
    memory._connection.execute("PRAGMA max_page_count = 8")
    for place in range(1, 500):
        table.keep(Proved((place, 0), KeyRange(("1",), ("2",)), Digest(1, 2, 3), Marks("a" * 200, "b" * 200)))
    assert 0 < sum(len(batch) for batch in table.batches()) < 400
