"""What a step is given besides the plan: where secrets come from, what is remembered, servers to throw away."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tekup_migrate.credentials.seal import Seal
    from tekup_migrate.credentials.secret import Secret


class Secrets(Protocol):
    """Where a step gets the secrets of a project; asks the operator when one is not held."""

    async def password(self, project_id: str) -> Secret:
        """Return the database password of a project of the plan.

        Raises:
            MigrationError: there is none, and the operator did not give one.
        """

    async def key(self, project_id: str, kind: str) -> Secret:
        """Return an API key of a project: ``anon key`` or ``service key``.

        Raises:
            MigrationError: there is none, and the operator did not give one.
        """

    def doubt(self, project_id: str, kind: str, reason: str) -> None:
        """Use a secret no more because it was refused: the operator is asked for another when it is next needed."""

    async def replace(self, project_id: str, kind: str, secret: Secret) -> None:
        """Hold and keep a secret that was seen to be right, in the place of any former one."""

    async def kept(self, project_id: str) -> tuple[str, ...]:
        """Return the kinds of a project's secrets that stay kept when this sitting ends."""

    async def forget(self, project_id: str) -> None:
        """Remove a project's secrets from where they are kept; what this sitting holds goes with its end."""

    async def keep_again(self, project_id: str) -> None:
        """Keep what this sitting still holds of a project's secrets."""

    @property
    def kept_in(self) -> str:
        """What to call the place where secrets are kept."""

    @property
    def lasting(self) -> bool:
        """Whether the seal can still be opened in a later sitting."""

    async def known(self, project_id: str, kind: str) -> Secret | None:
        """Return a secret that is held, kept or in the environment and not doubted; asks nobody."""

    async def seal(self) -> Seal:
        """Return what seals the former contents of files, so that they are not kept in plaintext."""

    async def backup_key(self, project_id: str, *, make: bool = False) -> Secret | None:
        """Return the age identity that a project's sealed backups open with, or None where there is none.

        With ``make``, a new one is made where there is none, and kept.

        Raises:
            MigrationError: a new one could not be kept for a later sitting.
        """


class Memory(Protocol):
    """What a step must still know in a later sitting to verify or revert itself; kept in the journal."""

    def remember(self, key: str, value: bytes) -> None:
        """Keep ``value`` durably under ``key``; on disk when this returns."""

    def recall(self, key: str) -> bytes | None:
        """Return what was kept under ``key``, or None."""

    def forget(self, key: str) -> None:
        """Keep nothing under ``key`` any more: what it told of has been taken back."""


class ThrowAwayServers(Protocol):
    """Starts an empty Postgres server on this machine, which is gone when the block ends."""

    def __call__(self, major: int, room: int) -> AbstractAsyncContextManager[tuple[str, Secret]]:
        """Start one of a major version; the block gets its superuser's URL, without a password, and the password.

        ``room`` is how many bytes of rows it must have room for on the disk.

        Raises:
            MigrationError: there is not that much room, or it does not start.
        """
