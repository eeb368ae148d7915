"""Worlds that the tests of this folder share; made once, not written to by more than one test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from tekup_migrate.plan import BUILT_IN, Plan, read_plan
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.world import World, make_world
from tests.rehearsal.sample_plan import write_sample_plan


@contextmanager
def shared_world(plan: Plan, templates: Path, *, rows: int) -> Iterator[World]:
    """A world that is free of any event loop."""
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:

        async def make() -> World:
            directory = await stack.enter_async_context(rehearsal_directory())
            return await make_world(plan, templates, directory, stack, rows=rows)

        try:
            yield runner.run(make())
        finally:
            runner.run(stack.aclose())


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world of the small sample plan, with 50 rows."""
    plan, templates = write_sample_plan(tmp_path_factory.mktemp("plan with space"))
    with shared_world(plan, templates, rows=50) as world:
        yield world


@pytest.fixture(scope="session")
def built_in_world() -> Iterator[World]:
    """The world of the built-in plan, with 2 000 rows."""
    with shared_world(read_plan(BUILT_IN), BUILT_IN.with_suffix(""), rows=2_000) as world:
        yield world
