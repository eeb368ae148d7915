"""Where secrets are kept: what every credential store can do, and what can be the matter with one."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError


class Trouble(StrEnum):
    """Why a credential store cannot be used."""

    NO_BACKEND = "no keyring on this machine"
    NOT_ALLOWED = "a keyring that is not a real one"
    LOCKED = "the keyring is locked"
    REFUSED = "the keyring refused"
    HANGING = "the keyring does not answer"
    TOO_LONG = "the secret is too long for a keyring"
    FAILED = "the keyring failed"
    WRONG_PASSPHRASE = "the passphrase does not open the file"  # noqa: S105 - a sentence, not a value
    DAMAGED = "the sealed file is damaged"


_REMEDIES = {
    Trouble.NO_BACKEND: "Install or start one, or go on with secrets held in memory or in a sealed file.",
    Trouble.NOT_ALLOWED: "Choose a real keyring (PYTHON_KEYRING_BACKEND, keyringrc.cfg), memory or a sealed file.",
    Trouble.LOCKED: "Unlock it and try again, or go on with secrets held in memory or in a sealed file.",
    Trouble.REFUSED: "Allow the access when you are asked, or go on with memory or a sealed file.",
    Trouble.HANGING: "Look for an unlock dialog behind other windows, or go on with memory or a sealed file.",
    Trouble.TOO_LONG: "Go on with secrets held in memory or in a sealed file.",
    Trouble.FAILED: "Go on with secrets held in memory or in a sealed file.",
    Trouble.WRONG_PASSPHRASE: "Type the passphrase again, or start a new file.",
    Trouble.DAMAGED: "Move the file away and type the secrets in again.",
}


class CredentialStoreError(MigrationError):
    """A credential store cannot be used; ``trouble`` says why in a word a program can act on."""

    def __init__(self, trouble: Trouble, happened: str, *, details: str = "") -> None:
        super().__init__(
            trouble[0].upper() + trouble[1:],
            happened=happened,
            unchanged="No secret was stored, changed or shown.",
            remedy=_REMEDIES[trouble],
            details=details,
        )
        self.trouble = trouble


class CredentialStore(Protocol):
    """Keeps one secret for each project ref and kind (``password``, ``anon key``, ``service key`` …)."""

    @property
    def name(self) -> str:
        """What to call it on screen."""
        ...

    @property
    def lasting(self) -> bool:
        """Whether what it keeps is still there in the next sitting."""
        ...

    async def get(self, ref: str, kind: str) -> Secret | None:
        """Return the secret, or ``None`` when there is none.

        Raises:
            CredentialStoreError: the store cannot be used now.
        """
        ...

    async def set(self, ref: str, kind: str, secret: Secret) -> None:
        """Keep the secret in the place of any former one.

        Raises:
            CredentialStoreError: the store cannot be used now.
        """
        ...

    async def forget(self, ref: str, kind: str) -> bool:
        """Remove the secret; return whether there was one.

        Raises:
            CredentialStoreError: the store cannot be used now.
        """
        ...


class MemoryStore:
    """Keeps secrets for this sitting only; nothing of it touches a disk."""

    name = "memory, for this sitting only"
    lasting = False

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], Secret] = {}

    async def get(self, ref: str, kind: str) -> Secret | None:
        """Return the secret, or ``None`` when there is none."""
        return self._secrets.get((ref, kind))

    async def set(self, ref: str, kind: str, secret: Secret) -> None:
        """Keep the secret until the program ends."""
        self._secrets[ref, kind] = Secret(secret.reveal(), kind=kind, project=ref)

    async def forget(self, ref: str, kind: str) -> bool:
        """Remove the secret; return whether there was one."""
        return self._secrets.pop((ref, kind), None) is not None
