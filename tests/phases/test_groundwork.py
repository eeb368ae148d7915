"""A wrong path, an unreadable env file or a missing program is named at once, each of them, before anything slow."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.journal import JOURNAL, Journal
from tekup_migrate.phases import steps_of
from tekup_migrate.phases.groundwork import Groundwork
from tekup_migrate.plan import BUILT_IN, Plan, read_plan
from tekup_migrate.steps import Context, Evidence, Verdict
from tests.scripted import make_context


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """The built-in plan with one app, whose repository is in a path with a space."""
    plan = read_plan(BUILT_IN)
    repository = tmp_path / "et repo"
    for file in plan.apps["rendetalje"].env_files:
        (repository / file.path).parent.mkdir(parents=True)
        (repository / file.path).write_bytes(b"A=1\n")
    schema = repository / "apps" / "backend" / "prisma" / "schema.prisma"
    schema.parent.mkdir(parents=True)
    schema.write_text("model Job {\n  id Int @id\n}\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    app = msgspec.structs.replace(plan.apps["rendetalje"], path=str(repository))
    return msgspec.structs.replace(plan, apps={"rendetalje": app})


@pytest.fixture
def context(tmp_path: Path, plan: Plan) -> Iterator[Context]:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("pnpm", "pnpm.cmd"):
        (programs / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    journal = Journal.open(tmp_path / "state" / JOURNAL)
    environment = {"PATH": os.pathsep.join((str(programs), os.environ["PATH"]))}
    yield dataclasses.replace(make_context(tmp_path / "state", journal), plan=plan, environment=environment)
    journal.close()


async def look(context: Context) -> Evidence:
    return await Groundwork(context.plan, context.plan.phases[0]).verify(context)


async def mistakes(context: Context) -> list[str]:
    with pytest.raises(MigrationError, match="not all on this machine") as caught:
        await look(context)
    return caught.value.details.splitlines()


async def test_what_is_all_there_passes_and_is_listed(context: Context) -> None:
    evidence = await look(context)
    assert evidence.verdict is Verdict.PASSED, evidence.facts
    assert "RendetaljeOS: apps/backend/.env" in evidence.facts
    assert "RendetaljeOS: the program pnpm" in evidence.facts


async def test_every_mistake_is_named_not_only_the_first(context: Context, plan: Plan) -> None:
    repository = plan.apps["rendetalje"].directory
    (repository / "apps/backend/.env").unlink()
    (repository / "apps/backend/.env").mkdir()
    (repository / "apps/backend/prisma/schema.prisma").unlink()
    wrong = await mistakes(dataclasses.replace(context, environment={"PATH": ""}))
    assert len(wrong) == 3
    assert wrong[0].startswith("RendetaljeOS: apps/backend/.env: ")
    assert "schema.prisma" in wrong[1]
    assert "No program called pnpm" in wrong[2]


async def test_a_wrong_repository_path_is_said_once(context: Context, plan: Plan) -> None:
    app = msgspec.structs.replace(plan.apps["rendetalje"], path="/nowhere/at all")
    [wrong] = await mistakes(dataclasses.replace(context, plan=msgspec.structs.replace(plan, apps={"rendetalje": app})))
    assert "/nowhere/at all, which is not a folder" in wrong


async def test_a_state_directory_that_git_would_take_up_is_said_before_any_backup(context: Context, plan: Plan) -> None:
    inside = plan.apps["rendetalje"].directory / "runs"
    [wrong] = await mistakes(dataclasses.replace(context, folder=inside))
    assert wrong.startswith("Backups: ")
    assert "git does not ignore it" in wrong


def test_it_comes_before_anything_slow() -> None:
    ids = [step.id for step in steps_of(read_plan(BUILT_IN))]
    assert ids.index("setup.ground") < min(ids.index("setup.inventory.paris"), ids.index("setup.backup.paris"))
