"""Counting connections on a real server."""

from __future__ import annotations

import asyncio

import pytest

from tekup_migrate.apps.connections import count_connections, find_pool_errors, read_limits
from tekup_migrate.rehearsal.supabase import SupabaseDatabase


async def test_the_peak_is_found_by_application_and_user_and_stays_after_it_has_passed(
    target_database: SupabaseDatabase,
) -> None:
    watcher = await target_database.connect(application_name="watcher")
    try:
        async with count_connections(watcher, interval=0.05) as sampler:
            apps = [await target_database.connect(application_name="ledger api") for _ in range(5)]
            while not any(g.connections == 5 for g in sampler.result().group_peaks):
                await asyncio.sleep(0.02)
            for app in apps:
                await app.close()
            before = sampler.result().samples
            while sampler.result().samples < before + 3:
                await asyncio.sleep(0.02)
        peak = sampler.result()
        limits = await read_limits(watcher)
    finally:
        await watcher.close()
    groups = {(group.application, group.user): group.connections for group in peak.group_peaks}
    assert groups[("ledger api", "postgres")] == 5
    assert groups[("watcher", "postgres")] == 1
    assert "ledger api as postgres: at most 5" in peak.lines
    assert peak.total >= 6
    assert peak.limits == limits
    assert peak.available == limits.max_connections - limits.reserved > 6
    assert peak.within() is True
    assert peak.within(pool_limit=6) is False


async def test_a_lost_connection_makes_the_peak_unsure_and_does_not_end_the_block(
    target_database: SupabaseDatabase,
) -> None:
    watcher = await target_database.connect(application_name="watcher")
    async with count_connections(watcher, interval=0.01) as sampler:
        while not sampler.result().samples:
            await asyncio.sleep(0.01)
        watcher.terminate()
        while not sampler.result().failure:
            await asyncio.sleep(0.01)
    assert sampler.result().within() is None


@pytest.mark.parametrize(
    "line",
    [
        "FATAL: sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
        "Timed out fetching a new connection from the connection pool. More info: …",
        "Error: timeout exceeded when trying to connect",
        "error: code: '53300'",
        "Max client connections reached",
    ],
)
def test_lines_that_tell_of_a_full_pool_are_found(line: str) -> None:
    assert find_pool_errors(["listening on 3002", line]) == (line,)


def test_other_lines_are_not_taken_for_pool_errors() -> None:
    assert find_pool_errors(["connected", "pool size 10", "connection pool ready", "port 53301"]) == ()
