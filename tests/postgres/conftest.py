"""Fixtures for tests that copy between the two servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tests.postgres.sides import Pair
from tests.servers import SharedServer


@pytest.fixture
async def sides(
    source_database: SupabaseDatabase,
    target_database: SupabaseDatabase,
    source_server: SharedServer,
    target_server: SharedServer,
) -> AsyncIterator[Pair]:
    """A source on Postgres 16 and a target on Postgres 18, both empty."""
    pair = Pair(source_database, target_database, (source_server, target_server))
    try:
        yield pair
    finally:
        await pair.close()
