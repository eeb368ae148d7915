"""Sealing what must be kept but not in plaintext: the cryptography package's Fernet does it."""

from __future__ import annotations

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStore
from tekup_migrate.errors import MigrationError

SEAL_KEY = "seal key"


class SealBrokenError(MigrationError):
    """Sealed bytes cannot be opened: another key, or they were changed."""


class Seal:
    """Closes and opens bytes with one key (Fernet: AES-128-CBC with HMAC-SHA256, 44 characters of key)."""

    def __init__(self, key: Secret) -> None:
        from cryptography.fernet import Fernet

        self._fernet = Fernet(key.reveal())

    @staticmethod
    def new_key(project: str = "") -> Secret:
        """Make a fresh key, to be kept by the credential store."""
        from cryptography.fernet import Fernet

        return Secret(Fernet.generate_key().decode(), kind=SEAL_KEY, project=project)

    def close(self, content: bytes) -> bytes:
        """Return ``content`` sealed; printable ASCII, about 4/3 of its length."""
        return self._fernet.encrypt(content)

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            SealBrokenError: the key is another one, or the bytes were changed.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise SealBrokenError(
                "Sealed content cannot be opened",
                happened="It was sealed with another key, or it was changed since.",
                unchanged="Nothing was read from it and nothing was written.",
                remedy="Use the computer and the keyring that sealed it, or restore the file by hand.",
            ) from error


async def seal_kept_by(store: CredentialStore, ref: str) -> Seal:
    """Return the seal of a project, whose key the store keeps; the first call makes one.

    With a store that is not ``lasting`` what is sealed can be opened in this sitting only: say so beforehand.

    Raises:
        CredentialStoreError: the store cannot be used now.
    """
    key = await store.get(ref, SEAL_KEY)
    if key is None:
        key = Seal.new_key(ref)
        await store.set(ref, SEAL_KEY, key)
    return Seal(key)
