"""Fixtures that any test may ask for; real servers, started only when first asked for."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from tekup_migrate.rehearsal.supabase import GrantRegime, SupabaseDatabase
from tests.memory_disk import temporary_files_in_memory
from tests.servers import SharedServer, shared_server

LONGEST = (
    "tests/rollback/test_by_hand.py",
    "tests/rollback/test_every_step.py",
    "tests/test_rehearsal_whole.py",
    "tests/screens/test_whole_rehearsal.py",
    "tests/crash/test_killed.py",
    "tests/rollback/test_command.py",
    "tests/test_verify_command.py",
    "tests/postgres/transplant/test_judge.py",
)
"""The files that take the longest: started last, one of them would keep one worker busy and the others idle."""


def pytest_configure(config: pytest.Config) -> None:
    """Choose where temporary files go, before any is made."""
    stack = ExitStack()
    stack.enter_context(temporary_files_in_memory())
    config.add_cleanup(stack.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_collection_finish() -> None:
    """Let the collector leave alone what lives as long as the process: a tenth of a worker's time goes there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def source_server() -> Iterator[SharedServer]:
    """A Postgres 16 that looks like a Supabase project made before the new grants."""
    with shared_server(name="source", major=16, grants=GrantRegime.EVERYTHING) as shared:
        yield shared


@pytest.fixture(scope="session")
def target_server() -> Iterator[SharedServer]:
    """A Postgres 18 that looks like a Supabase project where new tables get no grants."""
    with shared_server(name="target", major=18, grants=GrantRegime.NOTHING) as shared:
        yield shared


@pytest.fixture
async def source_database(source_server: SharedServer) -> AsyncIterator[SupabaseDatabase]:
    """A fresh database on the source server, of this test alone."""
    async with source_server.fresh_database() as database:
        yield database


@pytest.fixture
async def target_database(target_server: SharedServer) -> AsyncIterator[SupabaseDatabase]:
    """A fresh database on the target server, of this test alone."""
    async with target_server.fresh_database() as database:
        yield database
