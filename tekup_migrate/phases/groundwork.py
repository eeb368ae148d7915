"""The very first look: whether everything that the plan names on this machine is there, before anything slow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from tekup_migrate.errors import MigrationError
from tekup_migrate.phases.covering import backups_root
from tekup_migrate.phases.observation import Observation
from tekup_migrate.plan import App, Phase, Plan
from tekup_migrate.steps import Context, Evidence, Verdict


class Groundwork(Observation):
    """Looks for every repository, env file, schema and program that the plan names, and where backups may go."""

    why = "A wrong path is found now, in a second, and not after an hour of backups."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.ground", phase=phase.id, title="Find what the plan names on this machine")

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the directories."""
        apps = (f"{app.title}: its repository, env files and programs in {app.directory}" for app in _apps(context))
        return (*apps, f"that no git repository would take up the backups in {backups_root(context)}")

    def target(self, context: Context) -> str:
        """Say where."""
        return "this machine"

    async def verify(self, context: Context) -> Evidence:
        """Look for all of it.

        Raises:
            MigrationError: something is not as the plan says; every mistake is named, not only the first.
        """
        from tekup_migrate.backup.folder import require_unversioned

        found, wrong = list[str](), list[str]()
        for app in _apps(context):
            for what, look in _looks(context, app):
                await _note(f"{app.title}: {what}", look, found, wrong)
        backups = backups_root(context)
        await _note(f"Backups: {backups}", lambda: require_unversioned(backups), found, wrong)
        if wrong:
            raise MigrationError(
                "What the plan names is not all on this machine",
                happened=f"{len(wrong)} of {len(wrong) + len(found)} things are not as the plan says: {wrong[0]}",
                unchanged="Nothing was changed; no backup was begun.",
                remedy="Put right what is named here and in the details, then run the step again.",
                details="\n".join(wrong),
            )
        return Evidence(verdict=Verdict.PASSED, summary=f"all {len(found)} things are there", facts=tuple(found))


Look = Callable[[], Awaitable[object]]


async def _note(what: str, look: Look, found: list[str], wrong: list[str]) -> None:
    try:
        await look()
    except MigrationError as error:
        wrong.append(f"{what}: {error.happened} {error.remedy}")
    else:
        found.append(what)


def _apps(context: Context) -> tuple[App, ...]:
    return tuple(context.plan.apps.values())


def _looks(context: Context, app: App) -> list[tuple[str, Look]]:
    """Return everything to look for of an app, with its name; a missing repository says enough of what is in it."""
    from tekup_migrate.git.repository import Repository

    looks: list[tuple[str, Look]] = [(str(app.directory), lambda: Repository.open(app.directory))]
    if not app.directory.is_dir():
        return looks
    looks += [(file.path, _in_thread(_read_env, app.directory / file.path)) for file in app.env_files]
    if app.prisma is not None:
        schema = app.directory / app.prisma.schema
        looks.append((app.prisma.schema, _in_thread(_read_prisma, schema)))
    programs = dict.fromkeys(argv[0] for argv in _commands(app) if argv)
    looks += [(f"the program {name}", _in_thread(_find, context, app, name)) for name in programs]
    return looks


def _in_thread(look: Callable[..., object], *arguments: object) -> Look:
    import asyncio

    return lambda: asyncio.to_thread(look, *arguments)


def _commands(app: App) -> tuple[tuple[str, ...], ...]:
    prisma = (app.prisma.generate, app.prisma.push) if app.prisma is not None else ()
    return (app.commands.start, *app.commands.checks, *prisma)


def _read_env(path: Path) -> None:
    from tekup_migrate.envfiles.rewrite import read_bytes, real_path

    read_bytes(real_path(path))


def _read_prisma(path: Path) -> None:
    from tekup_migrate.apps.prisma import read_schema

    read_schema(path)


def _find(context: Context, app: App, name: str) -> None:
    from tekup_migrate.apps.executable import resolve_executable

    resolve_executable((name,), cwd=app.directory, environment=context.environment)
