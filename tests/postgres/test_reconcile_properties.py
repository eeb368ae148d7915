"""Random tables, rows and changes on both sides: after a reconcile a plain SELECT finds both sides equal."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tekup_migrate.postgres import chunks
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
    "extensions.vector(3)": st.lists(_component, min_size=3, max_size=3).map(lambda v: f"[{','.join(v)}]"),
}
KEYS = ("integer", "bigint", "uuid", "text", "timestamptz", "bytea", "numeric", "inet")

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Case:
    """A table and what each side holds."""

    types: tuple[str, ...]
    key: int
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
        tuple(common + draw(st.lists(row, max_size=8))),
        tuple(draw(st.lists(st.sampled_from(common), max_size=25)) + draw(st.lists(row, max_size=8)))
        if common
        else tuple(draw(st.lists(row, max_size=8))),
    )


def _statements(table: str, case: Case, rows: tuple[Row, ...]) -> str:
    names = [f'c{place} "' for place in range(len(case.types))]
    columns = [f"{quote_ident(name)} {t}" for name, t in zip(names, case.types, strict=True)]
    if case.key:
        columns.append(f"PRIMARY KEY ({', '.join(quote_ident(name) for name in names[: case.key])})")
    made = [f"CREATE TABLE {table} ({', '.join(columns)})"]
    for row in rows:
        values = ["NULL" if v is None else f"{quote_literal(v)}::{t}" for v, t in zip(row, case.types, strict=True)]
        made.append(f"INSERT INTO {table} VALUES ({', '.join(values)}) ON CONFLICT DO NOTHING")
    return ";\n".join(made)


@pytest.fixture
async def moods(sides: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    # Chunks of about three rows, so that few rows make many.
    monkeypatch.setattr(chunks, "_GRAIN_BYTES", 2500)
    monkeypatch.setattr(chunks, "_FIRST_CHUNK_BYTES", 2500)
    enum = "CREATE TYPE mood AS ENUM ('calm', 'keen', 'a ''b\" c');"
    await sides.on_source(enum)
    await sides.on_target("CREATE TYPE unrelated AS ENUM ();" + enum)
    return sides


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
async def test_whatever_both_sides_held_they_are_equal_afterwards(moods: Pair, case: Case) -> None:
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
