"""Random tables, rows and changes on both sides: after a reconcile a plain SELECT finds both sides equal."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tekup_migrate.postgres import chunk_work, chunks
from tekup_migrate.postgres import table as table_module
from tekup_migrate.postgres.quoting import quote_ident, quote_literal
from tekup_migrate.steps import Verdict
from tests.postgres.sides import Pair

_numbers = itertools.count()
_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
_float = st.floats().map(lambda v: "NaN" if math.isnan(v) else repr(v))
_stamp = st.one_of(
    st.datetimes().map(lambda v: v.isoformat()), st.sampled_from(["infinity", "-infinity", "0044-03-15 BC"])
)
_array = st.lists(st.none() | _text, max_size=4).map(
    lambda items: "{" + ",".join("NULL" if i is None else json.dumps(i, ensure_ascii=False) for i in items) + "}"
)
_component = st.floats(-1, 1, width=32).map(repr)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "numeric": st.one_of(st.decimals(allow_infinity=False, allow_nan=False, places=6).map(str), st.just("NaN")),
    "double precision": _float,
    "boolean": st.booleans().map(str),
    "text": _text,
    "bytea": st.binary(max_size=40).map(lambda v: "\\x" + v.hex()),
    "uuid": st.uuids().map(str),
    "timestamptz": _stamp,
    "interval": st.timedeltas().map(lambda v: f"{v.days} days {v.seconds} seconds {v.microseconds} microseconds"),
    "jsonb": st.dictionaries(_text.map(lambda t: t[:5]), st.integers() | st.none() | st.booleans(), max_size=3).map(
        json.dumps
    ),
    "text[]": _array,
    "mood": st.sampled_from(["calm", "keen", "a 'b\" c"]),
    "mood[]": st.lists(st.sampled_from(["calm", "keen"]), max_size=3).map(lambda v: "{" + ",".join(v) + "}"),
    "inet": st.ip_addresses().map(str),
    "int4range": st.integers(-9, 9).map(lambda v: f"[{v},{v + 3})"),
    "real": st.floats(width=32).map(lambda v: "NaN" if math.isnan(v) else repr(v)),
    "numeric(12,3)": st.decimals(-(10**8), 10**8, places=3).map(str),
    "char(6)": _text.map(lambda t: t[:6]),
    "tstzrange": st.tuples(st.datetimes(), st.booleans()).map(lambda v: f"{'[' if v[1] else '('}{v[0].isoformat()},)"),
    "score": st.integers(1, 99).map(str),
    "shape": st.tuples(st.integers(-9, 9), st.sampled_from(["calm", "keen"])).map(lambda v: f"({v[0]},{v[1]})"),
    "shape[]": st.lists(st.integers(-9, 9), max_size=2).map(lambda v: "{" + ",".join(f'"({n},calm)"' for n in v) + "}"),
    "extensions.halfvec(3)": st.lists(st.integers(-9, 9), min_size=3, max_size=3).map(str),
    "extensions.vector(3)": st.lists(_component, min_size=3, max_size=3).map(lambda v: f"[{','.join(v)}]"),
}
KEYS = (
    "integer",
    "bigint",
    "uuid",
    "text",
    "timestamptz",
    "bytea",
    "numeric",
    "inet",
    "mood",
    "char(6)",
    "real",
    "score",
)

EXTRAS = (
    "twice int GENERATED ALWAYS AS (7 * 2) STORED",
    "number bigint GENERATED ALWAYS AS IDENTITY",
    "gone int DEFAULT 5",
)
"""Columns that no row names: computed, counted on each side for itself, or dropped again on one side."""

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Case:
    """A table and what each side holds."""

    types: tuple[str, ...]
    key: int
    unique: str
    listed: bool
    carried: bool
    extras: tuple[str, ...]
    source: tuple[Row, ...]
    target: tuple[Row, ...]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=0, max_size=2))
    rest = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    types = (*keys, *rest)
    row = st.tuples(*[VALUES[t] for t in keys], *[st.none() | VALUES[t] for t in rest])
    common = draw(st.lists(row, max_size=25))
    return Case(
        types,
        len(keys),
        draw(st.sampled_from(["PRIMARY KEY ({})", "UNIQUE ({})", "UNIQUE ({}) DEFERRABLE INITIALLY DEFERRED"])),
        draw(st.booleans()),
        draw(st.booleans()),
        tuple(draw(st.lists(st.sampled_from(EXTRAS), unique=True))),
        tuple(common + draw(st.lists(row, max_size=8))),
        tuple(draw(st.lists(st.sampled_from(common), max_size=25)) + draw(st.lists(row, max_size=8)))
        if common
        else tuple(draw(st.lists(row, max_size=8))),
    )


def _statements(table: str, case: Case, rows: tuple[Row, ...]) -> str:
    names = [quote_ident(f'c{place} "') for place in range(len(case.types))]
    columns = list(case.extras)
    for place, (name, t) in enumerate(zip(names, case.types, strict=True)):
        columns.append(f"{name} {t}" + (" NOT NULL" if place < case.key else ""))
    if case.key:
        columns.append(case.unique.format(", ".join(names[: case.key])))
    made = [f"CREATE TABLE {table} ({', '.join(columns)})"]
    if any(extra.startswith("gone") for extra in case.extras):
        made.append(f"ALTER TABLE {table} DROP gone")
    keys = set[Row]()
    for row in rows:
        if case.key and row[: case.key] in keys:
            continue
        keys.add(row[: case.key])
        values = ["NULL" if v is None else f"{quote_literal(v)}::{t}" for v, t in zip(row, case.types, strict=True)]
        # Keys that are written otherwise and yet equal are left out, too; a deferred constraint cannot say so itself.
        pairs = zip(names[: case.key], values, strict=False)
        taken = " AND ".join(f"{name} = {value}" for name, value in pairs) or "false"
        made.append(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} "
            f"WHERE NOT EXISTS (SELECT FROM {table} WHERE {taken})"
        )
    return ";\n".join(made)


@pytest.fixture
async def moods(sides: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    # Chunks of about three rows, so that few rows make many.
    monkeypatch.setattr(chunks, "_GRAIN_BYTES", 2500)
    monkeypatch.setattr(chunks, "_FIRST_CHUNK_BYTES", 2500)
    enum = """
        CREATE TYPE mood AS ENUM ('calm', 'keen', 'a ''b" c');
        CREATE TYPE shape AS (sides int, mood mood);
        CREATE DOMAIN score AS int CHECK (VALUE > 0);
    """
    await sides.on_source(enum)
    await sides.on_target("CREATE TYPE unrelated AS ENUM ();" + enum)
    return sides


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
async def test_whatever_both_sides_held_they_are_equal_afterwards(
    moods: Pair, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    # Where the key's order is not shared by both sides, a large table is cut into lists of keys.
    monkeypatch.setattr(table_module, "_LISTED_FROM_BYTES", -1 if case.listed else 1 << 40)
    # Wide rows that the target lacks are digested as they are copied; narrow ones before.
    monkeypatch.setattr(chunk_work, "_WIDE_ROW_BYTES", 0 if case.carried else 1 << 40)
    table = f"t{next(_numbers)}"
    await moods.on_source(_statements(table, case, case.source))
    await moods.on_target(_statements(table, case, case.target))
    before = await moods.contents(table)
    seen = await moods.verify(table)
    assert (seen.verdict is Verdict.PASSED) == (before[0] == before[1])
    assert await moods.contents(table) == before

    outcome = await moods.reconcile(table)
    assert outcome.verdict is Verdict.PASSED
    await moods.assert_equal(table)
    assert (await moods.verify(table)).verdict is Verdict.PASSED
    await moods.on_both(f"DROP TABLE {table}")
