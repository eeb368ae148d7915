"""Restoring through psql in one transaction: all of it, or nothing at all."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.backup.access import Access
from tekup_migrate.backup.child import clean_environment, end_process
from tekup_migrate.backup.plain import without_unknown_settings
from tekup_migrate.backup.programs import DumpPrograms
from tekup_migrate.errors import CommandFailedError
from tekup_migrate.events import Listener, Progress, Ran

_PIECE = 1 << 18
_HEAD = 64 * 1024
_SAID = re.compile(rb"psql:<stdin>:\d+: (?:ERROR|FATAL): ")

Edit = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Script:
    """SQL to run in one transaction.

    Attributes:
        restore: pg_restore's options; what it writes is run.
        where: the database, as it is shown.
        server_major: the server's major version; settings that it does not know are left out.
        before: SQL to run first, in the same transaction.
        rows: how many rows it carries, to show how far it is; 0 shows nothing.
        edit: changes the first 64 kB of what pg_restore writes; rows beyond are passed on untouched.
    """

    restore: tuple[str, ...]
    where: str
    server_major: int
    before: str = ""
    rows: int = 0
    edit: Edit = bytes


async def run_script(script: Script, access: Access, programs: DumpPrograms, *, listen: Listener) -> None:
    """Run pg_restore's output through psql in one transaction, which is committed only when both went well.

    Raises:
        CommandFailedError: something failed; the server rolled everything back.
    """
    suffix = ".exe" if sys.platform == "win32" else ""
    psql = programs.restore.with_name(f"psql{suffix}")
    reading = [str(programs.restore), *script.restore, "--file=-"]
    writing = [str(psql), *access.options, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"]
    listen(Ran(kind="command", text=f"{' '.join(reading)} | {' '.join(writing)}", where=script.where))
    source = await _start(reading, clean_environment({}), stdin=asyncio.subprocess.DEVNULL)
    try:
        target = await _start(writing, access.environment, stdin=asyncio.subprocess.PIPE)
        try:
            await _carry(script, source, target, access, listen)
        finally:
            # Ending psql before its input ends is what rolls an unfinished transaction back.
            await asyncio.shield(end_process(target))
    finally:
        await asyncio.shield(end_process(source))


async def read_sql(archive: Path, options: tuple[str, ...], programs: DumpPrograms) -> str:
    """Return what pg_restore writes for a few definitions, as text.

    Raises:
        CommandFailedError: pg_restore failed.
    """
    process = await _start([str(programs.restore), *options, "--file=-", str(archive)], clean_environment({}))
    try:
        out, err = await process.communicate()
    finally:
        await asyncio.shield(end_process(process))
    if process.returncode != 0:
        raise _failed("pg_restore", err.decode("utf-8", "replace"), ())
    return out.decode("utf-8")


async def _start(
    argv: list[str], environment: dict[str, str], stdin: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=sys.platform != "win32",
    )


async def _carry(
    script: Script,
    source: asyncio.subprocess.Process,
    target: asyncio.subprocess.Process,
    access: Access,
    listen: Listener,
) -> None:
    said = [asyncio.create_task(_drain(stream)) for stream in (source.stderr, target.stderr, target.stdout)]
    try:
        whole = await _pipe(script, source, target, listen)
        if whole and await source.wait() == 0:
            await _write(target, b"\nCOMMIT;\n")
            _close(target)
            if await target.wait() == 0:
                return
        await asyncio.shield(end_process(target))
        await asyncio.shield(end_process(source))
        texts = [await task for task in said]
        name = "psql" if _SAID.search(texts[1].encode()) or not texts[0] else "pg_restore"
        raise _failed(name, texts[1] or texts[0], tuple(access.failures))
    finally:
        for task in said:
            task.cancel()
        await asyncio.gather(*said, return_exceptions=True)


async def _pipe(
    script: Script, source: asyncio.subprocess.Process, target: asyncio.subprocess.Process, listen: Listener
) -> bool:
    """Pass the whole script on; False where psql stopped taking it."""
    stream = source.stdout
    if stream is None:
        return False
    head = b""
    while len(head) < _HEAD and (piece := await stream.read(_HEAD)):
        head += piece
    head = without_unknown_settings(script.edit(head), script.server_major)
    if not await _write(target, b"BEGIN;\n" + script.before.encode() + head):
        return False
    lines = _show(script, head.count(b"\n"), listen)
    while piece := await stream.read(_PIECE):
        if not await _write(target, piece):
            return False
        lines = _show(script, lines + piece.count(b"\n"), listen)
    return True


def _show(script: Script, lines: int, listen: Listener) -> int:
    """Show how far a script is: a row is a line, and the few lines of definitions do not matter to a bar."""
    if script.rows:
        listen(Progress(label="restore", done=min(lines, script.rows), total=script.rows, unit="rows"))
    return lines


async def _write(target: asyncio.subprocess.Process, piece: bytes) -> bool:
    if target.stdin is None:
        return False
    try:
        target.stdin.write(piece)
        await target.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _close(target: asyncio.subprocess.Process) -> None:
    if target.stdin is not None:
        target.stdin.close()


async def _drain(stream: asyncio.StreamReader | None) -> str:
    kept = b""
    while stream is not None and (piece := await stream.read(_PIECE)):
        kept = (kept + piece)[-20_000:]
    return kept.decode("utf-8", "replace")


def _failed(program: str, said: str, relayed: tuple[str, ...]) -> CommandFailedError:
    first = next((line for line in said.splitlines() if "ERROR:" in line or "error:" in line), "it named no reason")
    return CommandFailedError(
        "The restore failed and was rolled back",
        happened=f"{program} stopped: {first.split('ERROR:')[-1].split('error:')[-1].strip()}.",
        unchanged="Everything ran in one transaction, which the server rolled back; the backup is as it was.",
        remedy="Read the details and remove the cause, for example an object that depends on a table of the backup.",
        details="\n".join([said.strip(), *relayed]),
    )
