"""Which pg_dump and pg_restore are used: an installed one that is new enough, else the embedded one."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.backup.child import clean_environment, read_output
from tekup_migrate.backup.manifest import major_of
from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.programs import EMBEDDED_MAJORS, embedded_program

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\S*)")
_USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/libpq/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True)
class DumpPrograms:
    """One installation's client programs.

    Attributes:
        dump: pg_dump by absolute path.
        restore: pg_restore of the same version.
        version: what the programs call themselves ("16.14").
        major: the first number of the version.
        tls: whether they can speak TLS; the embedded ones cannot.
        embedded: whether they came with this program.
    """

    dump: Path
    restore: Path
    version: str
    major: int
    tls: bool
    embedded: bool


async def choose_programs(server_major: int, *, installed: bool = True, restoring: bool = False) -> DumpPrograms:
    """Return the oldest programs that are at least as new as the server, installed ones before embedded ones.

    pg_dump refuses a newer server, and what a newer pg_dump wrote is harder to restore into an older server.

    Raises:
        MigrationError: nothing here is as new as the server.
    """
    if installed:
        found = [programs for programs in await installed_programs() if programs.major >= server_major]
        if found:
            return min(found, key=lambda programs: programs.major)
    for major in sorted(EMBEDDED_MAJORS):
        if major >= server_major:
            return await embedded_programs(major)
    if restoring:
        raise _too_new_an_archive(server_major)
    raise MigrationError(
        f"No pg_dump for Postgres {server_major} on this machine",
        happened=f"The server is Postgres {server_major}; the newest pg_dump found is older, and pg_dump refuses "
        "a server newer than itself.",
        unchanged="Nothing was dumped or written.",
        remedy=f"Install the PostgreSQL {server_major} client programs, or a newer tekup-migrate.",
    )


def _too_new_an_archive(major: int) -> MigrationError:
    return MigrationError(
        f"No pg_restore for an archive of Postgres {major} on this machine",
        happened=f"pg_dump {major} wrote the archive; the newest pg_restore found is older, and cannot read it.",
        unchanged="Nothing was restored.",
        remedy=f"Install the PostgreSQL {major} client programs, or a newer tekup-migrate.",
    )


async def embedded_programs(major: int) -> DumpPrograms:
    """Return the programs that come with this program, of major version 16 or 18."""
    dump = embedded_program("pg_dump", major)
    version = await _version_of(dump)
    return DumpPrograms(
        dump=dump,
        restore=embedded_program("pg_restore", major),
        version=version or str(major),
        major=major,
        tls=False,
        embedded=True,
    )


async def installed_programs() -> list[DumpPrograms]:
    """Return the installed pairs of pg_dump and pg_restore, each version once."""
    found: dict[str, DumpPrograms] = {}
    for folder in _places():
        suffix = ".exe" if sys.platform == "win32" else ""
        dump, restore = folder / f"pg_dump{suffix}", folder / f"pg_restore{suffix}"
        if not (dump.is_file() and restore.is_file()):
            continue
        version = await _version_of(dump)
        if version and version not in found:
            found[version] = DumpPrograms(
                dump=dump,
                restore=restore,
                version=version,
                major=major_of(version),
                tls=await _speaks_tls(dump),
                embedded=False,
            )
    return list(found.values())


def _places() -> list[Path]:
    places: list[Path] = []
    if sys.platform == "win32":
        root = Path(os.environ.get("PROGRAMFILES", "C:/Program Files")) / "PostgreSQL"
        places += sorted(root.glob("*/bin"))
    else:
        for pattern in _USUAL_PLACES:
            places += sorted(Path("/").glob(pattern.lstrip("/")))
    # Debian's pg_dump on the PATH is a wrapper that picks a version by rules of its own, so it comes last.
    on_path = shutil.which("pg_dump")
    return [*places, Path(on_path).absolute().parent] if on_path else places


async def _version_of(program: Path) -> str:
    try:
        finished = await read_output([program, "--version"], environment=clean_environment({}))
    except MigrationError:
        return ""
    match = _VERSION.search(finished.said)
    return f"{match[1]}{match[2]}" if match and finished.code == 0 else ""


async def _speaks_tls(program: Path) -> bool:
    """Ask libpq: built without TLS it refuses ``sslmode=require`` before it connects anywhere."""
    environment = clean_environment({"PGSSLMODE": "require", "PGPASSWORD": "none", "PGCONNECT_TIMEOUT": "5"})
    argv: list[str | Path] = [
        program,
        "--host=127.0.0.1",
        "--port=1",
        "--username=none",
        "--no-password",
        "--dbname=none",
    ]
    finished = await read_output(argv, environment=environment)
    return "not compiled in" not in finished.said
