"""A picture of everything that a run can touch, to compare before and after."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from pathlib import Path

import asyncpg

from tekup_migrate.phases.access import connected
from tekup_migrate.postgres.dsn import parse_url
from tekup_migrate.postgres.programs import embedded_program
from tekup_migrate.sitting import Sitting

Picture = dict[str, str]
"""What was seen, a text by name; two equal pictures mean an equal world."""

GIT_VIEWS = {
    "refs": ("for-each-ref", "--format=%(objectname) %(refname) %(upstream)"),
    "head": ("rev-parse", "--symbolic-full-name", "HEAD"),
    "index": ("ls-files", "--stage"),
    "status": ("status", "--porcelain=v2", "--untracked-files=all"),
    "stash": ("stash", "list"),
    "remotes": ("remote", "--verbose"),
}


async def picture(sitting: Sitting) -> Picture:
    """Look at both databases, every repository with its files, and the remotes."""
    seen: Picture = {}
    for project in sitting.plan.projects:
        seen[f"{project} schema"] = await _schema(sitting, project)
        async with connected(sitting.context, project) as connection:
            seen |= await _rows(connection, project)
    for name, app in sitting.plan.apps.items():
        seen |= await asyncio.to_thread(_repository, name, app.directory)
    return seen


def differences(before: Picture, after: Picture) -> list[str]:
    """Return the names of what differs, with both texts where they are short."""
    names = sorted(before.keys() | after.keys())
    return [
        f"{name}: {before.get(name, '-')[:1500]} → {after.get(name, '-')[:1500]}"
        for name in names
        if before.get(name) != after.get(name)
    ]


async def _schema(sitting: Sitting, project: str) -> str:
    url = parse_url(sitting.plan.projects[project].url).url
    password = await sitting.context.secrets.password(project)
    dump = await asyncio.create_subprocess_exec(
        embedded_program("pg_dump", 18),
        "--schema-only",
        "--no-password",
        f"--host={url.host}",
        f"--port={url.port}",
        f"--username={url.user}",
        f"--dbname={url.database}",
        "--schema=public",
        env={**os.environ, "PGPASSWORD": password.reveal()},
        stdout=asyncio.subprocess.PIPE,
    )
    text, _ = await dump.communicate()
    assert dump.returncode == 0
    # pg_dump 18 guards its output with a random word.
    return "\n".join(line for line in text.decode().splitlines() if "restrict " not in line)


async def _rows(connection: asyncpg.Connection, project: str) -> Picture:
    tables = await connection.fetch(
        "SELECT quote_ident(relname) AS name, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'S') ORDER BY 1"
    )
    seen = {}
    for table in tables:
        name = table["name"]
        sequence = bytes(table["relkind"]) == b"S"
        query = "SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM public.{} AS t"
        if sequence:
            query = "SELECT last_value || ' ' || is_called FROM public.{} AS t"
        seen[f"{project} rows of {name}"] = str(await connection.fetchval(query.format(name)))
    return seen


def _repository(name: str, directory: Path) -> Picture:
    seen = {f"{name} {view}": _git(directory, *arguments) for view, arguments in GIT_VIEWS.items()}
    remote = _git(directory, "remote", "get-url", "origin").strip()
    seen[f"{name} remote refs"] = _git(Path(remote), "for-each-ref", "--format=%(objectname) %(refname)")
    for path in sorted(directory.rglob("*")):
        # What an app's own tools generate there is neither under git nor anybody's work.
        if not {".git", "node_modules"} & set(path.relative_to(directory).parts) and not path.is_dir():
            seen[f"{name} file {path.relative_to(directory)}"] = _file(path)
    return seen


def _file(path: Path) -> str:
    if path.is_symlink():
        return f"→ {path.readlink()}"
    return f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _git(directory: Path, *arguments: str) -> str:
    finished = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, check=True)
    return finished.stdout.decode("utf-8", "replace")
