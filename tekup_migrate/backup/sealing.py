"""Sealing a backup's files with age, so that only the holder of the key can read the rows.

The construction is age's (age-encryption.org/v1), by the library pyrage, and any ``age`` program opens the files. Each
file is read and written in pieces; memory does not grow with it. The manifest stays readable: it names tables, rows
and digests, but holds no row. While it is being made, the archive lies unsealed in the private unfinished folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tekup_migrate.backup.folder import OPENED, make_private, require_room
from tekup_migrate.backup.instructions import PLAIN
from tekup_migrate.backup.manifest import ARCHIVE, Manifest, write_manifest
from tekup_migrate.backup.verify import require_whole
from tekup_migrate.backup.writer import clear_left_over, note_writer
from tekup_migrate.credentials.age import public_part, unusable_key
from tekup_migrate.credentials.age import pyrage as library
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.watchdog import Watchdog

SEALED = ".age"
"""What a sealed file's name ends with."""


async def seal_files(folder: Path, recipient: str) -> None:
    """Replace the archive's files and the plain SQL of an unfinished backup by sealed ones."""
    for path in await asyncio.to_thread(_to_seal, folder):
        await asyncio.to_thread(_seal_file, path, recipient)


@asynccontextmanager
async def opened_backup(folder: Path, key: Secret | None) -> AsyncIterator[Path]:
    """Give a backup's folder to read from: itself where it is not sealed, else an unsealed copy for the block.

    The copy is private, lies beside the backup, and is removed at the end, also where this process is killed.

    Raises:
        MigrationError: the backup is damaged, there is no key, it is another backup's key, there is no room for the
            copy, or another process has it open.
    """
    manifest = await asyncio.to_thread(Manifest.load, folder)
    if not manifest.sealed_for:
        yield folder
        return
    if key is None or public_part(key) != manifest.sealed_for:
        raise unusable_key(f"{folder.name} is sealed for {manifest.sealed_for}, which is not the key at hand.")
    await require_whole(folder)
    outer = folder.with_name(f"{folder.name}{OPENED}")
    await asyncio.to_thread(clear_left_over, outer)
    await asyncio.to_thread(require_room, outer, manifest.bytes, what="the unsealed copy of the backup")
    make_private(outer)
    # At once: without the note another process takes the folder for one that was left behind.
    note_writer(outer, os.getpid())
    watchdog = Watchdog.start(outer, keep=False)
    try:
        copy = outer / folder.name
        make_private(copy)
        make_private(copy / ARCHIVE)
        for file in manifest.files:
            await asyncio.to_thread(_open_file, folder / file.path, copy / file.path.removesuffix(SEALED), key)
        unsealed = msgspec.structs.replace(manifest, sealed_for="")
        await asyncio.to_thread(write_manifest, copy, unsealed)
        yield copy
    finally:
        await asyncio.shield(asyncio.to_thread(_close_copy, outer, watchdog))


def _close_copy(outer: Path, watchdog: Watchdog) -> None:
    shutil.rmtree(outer, ignore_errors=True)
    watchdog.release()


def _to_seal(folder: Path) -> list[Path]:
    plain = folder / PLAIN
    return [*sorted(path for path in (folder / ARCHIVE).iterdir()), *([plain] if plain.exists() else [])]


def _seal_file(path: Path, recipient: str) -> None:
    pyrage = library()
    sealed = path.with_name(path.name + SEALED)
    # The library's function for paths holds the interpreter's lock for the whole file; this one lets others run.
    with path.open("rb") as source, sealed.open("xb") as target:
        pyrage.encrypt_io(source, target, [pyrage.x25519.Recipient.from_str(recipient)])
    path.unlink()


def _open_file(sealed: Path, plain: Path, key: Secret) -> None:
    pyrage = library()
    with sealed.open("rb") as source, plain.open("xb") as target:
        if not sealed.name.endswith(SEALED):
            shutil.copyfileobj(source, target)
            return
        try:
            pyrage.decrypt_io(source, target, [pyrage.x25519.Identity.from_str(key.reveal())])
        except (pyrage.DecryptError, OSError) as error:
            raise unusable_key(f"{sealed.name} could not be opened: {error}.") from error
