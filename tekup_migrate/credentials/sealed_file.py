"""A credential store in one file that a passphrase seals, for machines without a keyring."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import msgspec

from tekup_migrate.credentials.durable import replace_file
from tekup_migrate.credentials.seal import Seal, SealBrokenError
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStoreError, Trouble

# Parameters of scrypt for interactive use (RFC 7914 and its users): 64 MB and about a fifth of a second.
_COST, _BLOCK, _PARALLEL = 2**16, 8, 1
_MOST_COST = 2**20  # a file that asks for more was not written by this program


class _Sealed(msgspec.Struct, frozen=True):
    """The file: how the key is derived from the passphrase, and what the key seals."""

    version: int
    salt: bytes
    cost: int
    sealed: bytes


class _Entry(msgspec.Struct, frozen=True):
    ref: str
    kind: str
    value: str


_Entries = dict[tuple[str, str], str]


class SealedFileStore:
    """Keeps secrets in a file that scrypt and Fernet of the cryptography package seal with a passphrase.

    Made by ``open``. The passphrase is not kept, only the key that was derived from it. Each change starts
    from what is on disk, so that the wizard and the command line do not undo each other's changes.
    """

    name = "a file sealed by a passphrase"
    lasting = True

    def __init__(self, path: Path, seal: Seal, *, salt: bytes, cost: int) -> None:
        self._path = path
        self._seal = seal
        self._salt = salt
        self._cost = cost
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path, passphrase: Secret) -> SealedFileStore:
        """Open the file, or begin a new one where there is none; nothing is written before the first ``set``.

        Raises:
            CredentialStoreError: the passphrase is not the file's, or the file cannot be read.
        """
        return await asyncio.to_thread(cls._open, path, passphrase)

    async def get(self, ref: str, kind: str) -> Secret | None:
        """Return the secret, or ``None`` when there is none.

        Raises:
            CredentialStoreError: the file cannot be read any more.
        """
        entries = await asyncio.to_thread(self._read)
        value = entries.get((ref, kind))
        return None if value is None else Secret(value, kind=kind, project=ref)

    async def set(self, ref: str, kind: str, secret: Secret) -> None:
        """Keep the secret; on disk when this returns.

        Raises:
            CredentialStoreError: the file cannot be read or written.
        """
        async with self._turn:
            entries = await asyncio.to_thread(self._read)
            await asyncio.to_thread(self._write, {**entries, (ref, kind): secret.reveal()})

    async def forget(self, ref: str, kind: str) -> bool:
        """Remove the secret; return whether there was one.

        Raises:
            CredentialStoreError: the file cannot be read or written.
        """
        async with self._turn:
            entries = await asyncio.to_thread(self._read)
            if entries.pop((ref, kind), None) is None:
                return False
            await asyncio.to_thread(self._write, entries)
            return True

    @classmethod
    def _open(cls, path: Path, passphrase: Secret) -> SealedFileStore:
        file = _sealed_in(path)
        salt, cost = (os.urandom(16), _COST) if file is None else (file.salt, file.cost)
        store = cls(path, _derived(passphrase, salt, cost), salt=salt, cost=cost)
        store._read()
        return store

    def _read(self) -> _Entries:
        file = _sealed_in(self._path)
        if file is None:
            return {}
        try:
            entries = msgspec.json.decode(self._seal.open(file.sealed), type=list[_Entry])
        except SealBrokenError as error:
            raise CredentialStoreError(
                Trouble.WRONG_PASSPHRASE, f"{self._path} was sealed with another passphrase, or it is damaged."
            ) from error
        return {(entry.ref, entry.kind): entry.value for entry in entries}

    def _write(self, entries: _Entries) -> None:
        listed = [_Entry(ref, kind, value) for (ref, kind), value in entries.items()]
        sealed = self._seal.close(msgspec.json.encode(listed))
        file = _Sealed(version=1, salt=self._salt, cost=self._cost, sealed=sealed)
        try:
            replace_file(self._path, msgspec.json.encode(file), mode=0o600)
        except OSError as error:
            raise _failed(self._path, error) from error


def _sealed_in(path: Path) -> _Sealed | None:
    """Read the outside of the file; ``None`` when there is no file yet."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_Sealed)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from error
    except msgspec.DecodeError as error:
        raise _damaged(path) from error
    if file.version != 1 or not 2 <= file.cost <= _MOST_COST or file.cost & (file.cost - 1):
        raise _damaged(path)
    return file


def _derived(passphrase: Secret, salt: bytes, cost: int) -> Seal:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    derivation = Scrypt(salt=salt, length=32, n=cost, r=_BLOCK, p=_PARALLEL)
    key = derivation.derive(passphrase.reveal().encode("utf-8", "surrogatepass"))
    return Seal(Secret(base64.urlsafe_b64encode(key).decode(), kind="seal key"))


def _failed(path: Path, error: OSError) -> CredentialStoreError:
    return CredentialStoreError(Trouble.FAILED, f"{path}: {error.strerror or error}.")


def _damaged(path: Path) -> CredentialStoreError:
    return CredentialStoreError(Trouble.DAMAGED, f"{path} is not a file that this program sealed.")
