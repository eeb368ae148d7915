"""A rehearsal carried out by the command in surroundings of its own, and a look at what it left there."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tekup_migrate.postgres.programs import program_in
from tekup_migrate.rehearsal.account import account_arguments, reachable_installation, server_account
from tekup_migrate.rehearsal.server import LOOPBACK, SUPERUSER, free_port
from tests.commands import Ended, tekup_migrate

if TYPE_CHECKING:
    from asyncpg import Record


@dataclass(frozen=True)
class Place:
    """A home and a directory for temporary files that only one command uses; ``reports`` is for the test."""

    home: Path
    temporary: Path
    reports: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment that makes a command use them."""
        temporary = str(self.temporary)
        return {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "TMPDIR": temporary,
            "TEMP": temporary,
            "TMP": temporary,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    def left(self) -> list[str]:
        """The names of what lies in them."""
        return sorted(path.name for folder in (self.home, self.temporary) for path in folder.iterdir())


@contextmanager
def own_place(*, name: str = "midlertidig mappe æøå", uid: int | None = None) -> Iterator[Place]:
    """A place that every account can pass through, removed afterwards; it belongs to ``uid``."""
    base = Path(tempfile.mkdtemp(prefix="tekup-test-")).resolve()
    try:
        place = Place(home=base / "hjem", temporary=base / name, reports=base / "reports")
        for folder in (place.home, place.temporary, place.reports):
            folder.mkdir()
        if uid is not None:
            import os

            for folder in (base, place.home, place.temporary, place.reports):
                os.chown(folder, uid, -1)
        base.chmod(0o755)
        yield place
    finally:
        shutil.rmtree(base)


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal with ``--keep`` left behind."""

    ended: Ended
    report: dict[str, object]
    place: Place

    @property
    def directory(self) -> Path:
        """The rehearsal's directory."""
        return next(self.place.temporary.glob("tekup-rehearsal-*"))


def processes_in(folder: Path) -> list[list[str]]:
    """The command lines of all processes that name ``folder``, or work in it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        line = process.info["cmdline"] or []
        inside = str(folder) in (process.info["cwd"] or "") or any(str(folder) in each for each in line)
        if inside and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def rehearse(place: Place, *arguments: object) -> Ended:
    """Rehearse unattended in a place; the JSON report goes to ``reports/r.json``."""
    report = place.reports / "r.json"
    return tekup_migrate(*arguments, "--unattended", "--report", report, extra=place.variables)


@contextmanager
def reopened(directory: Path, name: str, major: int) -> Iterator[int]:
    """Start a kept server again, letting anybody on this machine in; yields its port."""
    account = server_account()
    cluster = directory / name / "cluster"
    (cluster / "pg_hba.conf").write_text(f"host all all {LOOPBACK}/32 trust\n", encoding="utf-8")
    pg_ctl = str(program_in(reachable_installation(major, account, directory / "postgres"), "pg_ctl"))
    port = free_port()

    def run(*arguments: str) -> None:
        subprocess.run(
            [pg_ctl, "-D", str(cluster), "-w", *arguments],
            check=True,
            cwd=cluster.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account_arguments(account),
        )

    run("-l", str(cluster.parent / "again.log"), "-o", f"-p {port}", "start")
    try:
        yield port
    finally:
        run("-m", "immediate", "stop")


def query(port: int, sql: str) -> list[Record]:
    """Run one query as the superuser of a reopened server."""

    async def ask() -> list[Record]:
        import asyncpg

        connection = await asyncpg.connect(
            host=LOOPBACK, port=port, user=SUPERUSER, database="postgres", ssl=False, timeout=20
        )
        try:
            await connection.execute("SET search_path = public, extensions")
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    return asyncio.run(ask())
