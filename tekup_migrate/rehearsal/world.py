"""The sample world of a plan: two databases, a repository and a remote for each app, and secrets for all.

It is made from a folder beside the plan, ``plans/x/`` for ``plans/x.toml``:

- ``source.sql`` and ``target.sql`` run as ``postgres`` in the two databases;
- ``repositories/<app>/…`` is the first commit of an app, ``uncommitted/<app>/…`` is laid over it afterwards;
- ``world.toml`` names, under ``[writers]``, the apps whose worker keeps writing, with its configuration file.

Placeholders: ``${rows}``, ``${port.<app>}``, ``${secret.<name>}``, ``${sealed.<name>.<text>}``, and for ``source`` and
``target`` ``.ref``, ``.region``, ``.url``, ``.anon_key``, ``.service_key``, ``.database_url``, ``.host``, ``.port``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Plan
from tekup_migrate.rehearsal.directory import RehearsalDirectory
from tekup_migrate.rehearsal.keys import AppSecrets
from tekup_migrate.rehearsal.names import Names
from tekup_migrate.rehearsal.pnpm import make_programs
from tekup_migrate.rehearsal.project import WorldProject, fill_project, start_project
from tekup_migrate.rehearsal.repositories import make_repository
from tekup_migrate.rehearsal.server import SERVER_BYTES, free_port, require_room

T = TypeVar("T")

DEFAULT_ROWS = 2_000
BYTES_PER_ROW = 40_000
"""Disk that a row of the biggest table needs: on both servers, in indexes, write-ahead logs and backups."""


class WorldFile(Struct, frozen=True, forbid_unknown_fields=True):
    """``world.toml``: ``writers`` maps an app to the configuration of its worker, relative to its repository."""

    writers: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class WorldApp:
    """One app of the sample world; ``worker`` is the configuration of what keeps writing, if anything does."""

    repository: Path
    remote: Path
    port: int
    worker: Path | None


@dataclass(frozen=True, kw_only=True)
class World:
    """A sample world.

    Attributes:
        plan: the plan with the projects' URLs, the repositories' paths and the ports of this world.
        projects: by the plan's project id.
        apps: by the plan's app id.
        programs: a folder with stand-ins for package managers, to go first on the PATH.
        seconds_to_make: how long all of it took.
    """

    directory: Path
    plan: Plan
    projects: dict[str, WorldProject]
    apps: dict[str, WorldApp]
    programs: Path
    seconds_to_make: float


async def make_world(
    plan: Plan,
    templates: Path,
    directory: RehearsalDirectory,
    stack: AsyncExitStack,
    *,
    rows: int = DEFAULT_ROWS,
) -> World:
    """Make a plan's sample world in ``directory``.

    Args:
        plan: the plan; nothing that it names outside ``directory`` is touched.
        templates: the folder beside the plan.
        directory: where everything goes.
        stack: gets what stops the servers.
        rows: what ``${rows}`` stands for.

    Raises:
        MigrationError: the plan has no sample world, a template is wrong, there is no room on the disk, or a
            server does not start.
    """
    began = time.monotonic()
    world_file = _read_world_file(plan, templates)
    await asyncio.to_thread(require_room, directory.path, 2 * SERVER_BYTES + rows * BYTES_PER_ROW)
    started = await _together(*(start_project(project, directory, stack) for project in plan.projects.values()))
    projects = dict(zip(plan.projects, started, strict=True))
    programs = directory.path / "bin"
    make_programs(programs)
    apps = {name: _place(plan, name, directory.path, world_file) for name in plan.apps}
    names = Names(
        rows=rows,
        plan=plan,
        projects={plan.projects[key].role: project for key, project in projects.items()},
        ports={name: app.port for name, app in apps.items()},
        secrets=AppSecrets(),
    )
    await _together(
        *(_make_app(templates, name, app, names) for name, app in apps.items()),
        *(fill_project(each, templates / f"{role}.sql", names) for role, each in names.projects.items()),
    )
    return World(
        directory=directory.path,
        plan=_placed(plan, projects, apps),
        projects=projects,
        apps=apps,
        programs=programs,
        seconds_to_make=time.monotonic() - began,
    )


def _read_world_file(plan: Plan, templates: Path) -> WorldFile:
    if not templates.is_dir():
        raise _unfit("This plan has no sample world to rehearse in", f"There is no folder {templates}")
    needed = ["source.sql", "target.sql", *(f"repositories/{app}" for app in plan.apps)]
    missing = [name for name in needed if not (templates / name).exists()]
    if missing:
        raise _unfit("The plan's sample world is not whole", f"{templates} lacks {', '.join(missing)}")
    path = templates / "world.toml"
    try:
        content = path.read_bytes() if path.is_file() else b""
        world_file = msgspec.toml.decode(content, type=WorldFile)
    except msgspec.DecodeError as error:
        raise _unfit("The sample world's file cannot be used", f"{path}: {error}") from error
    unknown = ", ".join(sorted(world_file.writers.keys() - plan.apps.keys()))
    if unknown:
        raise _unfit("The sample world's file cannot be used", f"{path}: writers names no app of the plan: {unknown}")
    return world_file


def _unfit(title: str, happened: str) -> MigrationError:
    return MigrationError(
        title,
        happened=f"{happened}.",
        unchanged="Nothing was started or written.",
        remedy="Mend the folder beside the plan as README.md describes, or rehearse the built-in plan.",
    )


async def _together(*work: Coroutine[object, object, T]) -> list[T]:
    """Run all of ``work`` at once; the first failure ends the rest and is raised as itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each) for each in work]
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return [task.result() for task in running]


def _place(plan: Plan, name: str, directory: Path, world_file: WorldFile) -> WorldApp:
    folder = plan.apps[name].directory.name
    if sum(app.directory.name == folder for app in plan.apps.values()) > 1:
        folder = f"{folder}-{name}"
    repository = directory / "repositories" / folder
    worker = world_file.writers.get(name)
    return WorldApp(
        repository=repository,
        remote=directory / "remotes" / f"{folder}.git",
        port=free_port(),
        worker=repository / worker if worker else None,
    )


async def _make_app(templates: Path, name: str, app: WorldApp, names: Names) -> None:
    app.repository.mkdir(parents=True)
    app.remote.parent.mkdir(exist_ok=True)
    await make_repository(
        committed=templates / "repositories" / name,
        uncommitted=templates / "uncommitted" / name,
        repository=app.repository,
        remote=app.remote,
        lookup=names,
    )


def _placed(plan: Plan, projects: dict[str, WorldProject], apps: dict[str, WorldApp]) -> Plan:
    return msgspec.structs.replace(
        plan,
        projects={
            name: msgspec.structs.replace(project, url=projects[name].database.dsn)
            for name, project in plan.projects.items()
        },
        apps={
            name: msgspec.structs.replace(app, path=str(apps[name].repository), port=apps[name].port)
            for name, app in plan.apps.items()
        },
    )
