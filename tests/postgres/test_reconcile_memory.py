"""Memory: a few times the largest value, and flat however many rows there are."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass

import pytest

from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.commands import ROOT
from tests.postgres.sides import Pair

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Measured:
    """What a copy in a process of its own said: rows and bytes sent, and its peak of resident memory."""

    rows: int
    sent: int
    peak: int


def _variables(name: str, database: SupabaseDatabase) -> dict[str, str]:
    url = f"postgresql://{database.user}@{database.host}:{database.port}/{database.database}"
    return {f"{name}_URL": url, f"{name}_PASSWORD": database.password.reveal()}


async def measure(sides: Pair, table: str) -> Measured:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.postgres.measured",
        table,
        cwd=ROOT,
        env=os.environ | _variables("SOURCE", sides.source_database) | _variables("TARGET", sides.target_database),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await child.communicate()
    assert child.returncode == 0
    said = json.loads(out)
    assert said["verdict"] == "passed"
    return Measured(said["rows"], said["bytes"], said["peak"])


async def test_a_fifty_megabyte_value_costs_a_few_times_its_size(sides: Pair) -> None:
    await sides.on_both("""
        CREATE TABLE files (id int PRIMARY KEY, content bytea);
        ALTER TABLE files ALTER content SET STORAGE EXTERNAL
    """)
    await sides.on_source(
        "INSERT INTO files SELECT n, decode(repeat(md5(n::text), 10), 'hex') FROM generate_series(1, 100) AS n"
    )
    small = await measure(sides, "files")
    await sides.on_source("UPDATE files SET content = decode(repeat(md5('x'), 3200000), 'hex') WHERE id = 50")
    large = await measure(sides, "files")
    assert large.rows == 1
    assert large.sent > 50 * MEGABYTE * 0.95
    assert large.peak - small.peak < 4 * large.sent
    await sides.assert_equal("files")


@pytest.mark.long
async def test_memory_is_flat_from_a_hundred_thousand_rows_to_a_million(sides: Pair) -> None:
    await sides.on_both("CREATE TABLE small (id uuid PRIMARY KEY, n int, body text, at timestamptz)")
    fill = "INSERT INTO small SELECT md5(n::text)::uuid, n, 'row ' || n, '2026-01-01' FROM generate_series({}, {}) AS n"
    await sides.on_source(fill.format(1, 100_000))
    fewer = await measure(sides, "small")
    await sides.on_target("TRUNCATE small")
    await sides.on_source(fill.format(100_001, 1_000_000))
    more = await measure(sides, "small")
    assert (fewer.rows, more.rows) == (100_000, 1_000_000)
    assert fewer.peak < 80 * MEGABYTE
    assert more.peak < 1.1 * fewer.peak
    await sides.on_source("UPDATE small SET n = -n WHERE n % 100 = 0")
    caught_up = await measure(sides, "small")
    assert caught_up.rows == 10_000
    assert caught_up.peak < 80 * MEGABYTE
