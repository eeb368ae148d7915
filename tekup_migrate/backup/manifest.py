"""What a backup holds: the manifest beside the archive, and the checksums that prove it whole."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
from msgspec import Struct

from tekup_migrate.errors import MigrationError

FORMAT = 1
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
INSTRUCTIONS = "RESTORE.md"
ARCHIVE = "archive"
"""The folder that pg_dump writes its directory archive into, inside the backup's folder."""


def major_of(version: str) -> int:
    """Return the major number of a Postgres version such as ``17.4`` or ``19beta1``."""
    return int(re.split(r"\D", version, maxsplit=1)[0])


class TableContent(Struct, frozen=True, kw_only=True):
    """One table as the dump's snapshot saw it.

    Attributes:
        schema: its schema.
        name: its name.
        rows: rows, counted in the snapshot.
        bytes: its size on the source's disk without indexes.
        digest: over every column of every row; equal digests mean equal rows.
    """

    schema: str
    name: str
    rows: int
    bytes: int
    digest: str

    @property
    def label(self) -> str:
        """The name as it is shown: ``schema.name``."""
        return f"{self.schema}.{self.name}"


class ArchivedFile(Struct, frozen=True):
    """One file of the backup: its path relative to the backup's folder with ``/``, its size, its SHA-256."""

    path: str
    bytes: int
    sha256: str


class InstalledExtension(Struct, frozen=True):
    """An extension of the source's database, which a dump of schemas does not contain."""

    name: str
    schema: str
    version: str


class OutsideFunction(Struct, frozen=True):
    """A function of another schema that the dumped objects call: ``auth.uid()`` and the like."""

    schema: str
    name: str
    arguments: str
    result: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds and where it came from. Times are UTC, ISO 8601.

    Attributes:
        format: the version of this file's format.
        tool_version: the version of this program that wrote it.
        name: the backup's name without its date.
        ref: the project's reference.
        host: the server that was dumped.
        database: its database.
        user: the role that dumped it.
        server_version: as the server calls itself ("17.4").
        dump_version: pg_dump's version; pg_restore must be at least this major version.
        schemas: the schemas in the archive.
        snapshot: the id of the snapshot that the dump and the digests share.
        snapshot_at: when the snapshot was taken; rows written later are not in the backup.
        started: when the dump began.
        ended: when the archive was whole.
        tables: every table in the archive.
        files: every file of the backup but the manifest and the checksums.
        roles: the source's roles; the archive's owners and grants name them.
        extensions: what must exist before the archive can be restored.
        functions: functions outside the archive that something in it calls.
        sealed_for: the age recipient that the archive's files are sealed for, or empty.
    """

    format: int
    tool_version: str
    name: str
    ref: str
    host: str
    database: str
    user: str
    server_version: str
    dump_version: str
    schemas: tuple[str, ...]
    snapshot: str
    snapshot_at: str
    started: str
    ended: str
    tables: tuple[TableContent, ...]
    files: tuple[ArchivedFile, ...]
    roles: tuple[str, ...] = ()
    extensions: tuple[InstalledExtension, ...] = ()
    functions: tuple[OutsideFunction, ...] = ()
    sealed_for: str = ""

    @property
    def server_major(self) -> int:
        """The source's major version."""
        return major_of(self.server_version)

    @property
    def dump_major(self) -> int:
        """The major version of the pg_dump that wrote the archive."""
        return major_of(self.dump_version)

    @property
    def rows(self) -> int:
        """Rows in all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    def table(self, schema: str, name: str) -> TableContent | None:
        """Return a table of the backup, or None."""
        return next((table for table in self.tables if (table.schema, table.name) == (schema, name)), None)

    @staticmethod
    def load(folder: Path) -> Manifest:
        """Read the manifest of a backup's folder.

        Raises:
            MigrationError: it is no backup of ours, an unfinished one, or of a newer version of this program.
        """
        if folder.name.endswith(".partial"):
            raise _no_backup(folder, "it is the folder of a dump that did not finish")
        try:
            content = (folder / MANIFEST).read_bytes()
            version = msgspec.json.decode(content, type=_Versioned).format
            if version > FORMAT:
                raise _no_backup(folder, f"its manifest has the format {version}, and this program knows {FORMAT}")
            return msgspec.json.decode(content, type=Manifest)
        except OSError as error:
            raise _no_backup(folder, f"{MANIFEST} cannot be read: {error.strerror or error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _no_backup(folder, f"{MANIFEST} is damaged or not ours: {error}") from error


class _Versioned(Struct, frozen=True):
    format: int


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest, with the files that ``folder`` holds now, and the checksums; return what was written."""
    manifest = msgspec.structs.replace(manifest, files=digest_files(folder))
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST).write_bytes(content + b"\n")
    (folder / CHECKSUMS).write_bytes(checksums(folder, manifest))
    return manifest


def checksums(folder: Path, manifest: Manifest) -> bytes:
    """Return what ``SHA256SUMS`` must hold, in the format that ``sha256sum -c`` reads.

    It covers the manifest too, so that a flipped byte in either of the two is caught by the other.
    """
    seal = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    lines = [f"{file.sha256}  {file.path}\n" for file in manifest.files]
    return "".join([*lines, f"{seal}  {MANIFEST}\n"]).encode()


def digest_files(folder: Path) -> tuple[ArchivedFile, ...]:
    """Return every file under ``folder`` with its size and SHA-256, ordered by path; memory stays flat.

    Links are reported by their own path and never followed out of the folder.
    """
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if relative in (MANIFEST, CHECKSUMS) or not (path.is_symlink() or path.is_file()):
            continue
        if path.is_symlink():
            files.append(ArchivedFile(relative, 0, "a link"))
            continue
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        files.append(ArchivedFile(relative, path.stat().st_size, sha256))
    return tuple(files)


def _no_backup(folder: Path, why: str) -> MigrationError:
    return MigrationError(
        f"{folder.name} is not a backup that can be used",
        happened=f"{folder}: {why}.",
        unchanged="Nothing was restored or written.",
        remedy="Name the folder of a finished backup, or make a new one.",
    )
