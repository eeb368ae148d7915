"""The key of sealed backups: an age identity (age-encryption.org/v1), by the library pyrage."""

from __future__ import annotations

import importlib
from types import ModuleType

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError

BACKUP_KEY = "backup key"
"""What kind of secret it is, in the credential store as well."""


def new_backup_key(project: str) -> Secret:
    """Return a new age identity for a project's backups; who loses it loses them.

    Raises:
        MigrationError: the sealing library is not installed.
    """
    return Secret(str(pyrage().x25519.Identity.generate()), kind=BACKUP_KEY, project=project)


def public_part(key: Secret) -> str:
    """Return the age recipient (``age1…``) that belongs to a backup key; it is no secret.

    Raises:
        MigrationError: it is no age key.
    """
    library = pyrage()
    try:
        return str(library.x25519.Identity.from_str(key.reveal()).to_public())
    except library.IdentityError as error:
        raise unusable_key("It is no age identity (AGE-SECRET-KEY-1…).") from error


def unusable_key(why: str) -> MigrationError:
    """Return the error for a key that does not open a backup."""
    return MigrationError(
        "The backup cannot be opened with this key",
        happened=why,
        unchanged="Nothing was restored.",
        remedy="Give the key that was kept when this backup was made; its RESTORE.md says where.",
    )


def pyrage() -> ModuleType:
    """Return the sealing library.

    Raises:
        MigrationError: it is not installed.
    """
    try:
        # Without type stubs, and only needed for sealed backups.
        return importlib.import_module("pyrage")
    except ImportError as error:
        raise MigrationError(
            "Backups cannot be sealed here",
            happened="The library pyrage, which seals and opens them, is not installed.",
            unchanged="Nothing was dumped or restored.",
            remedy="Install it (pip install pyrage), or back up without --encrypt.",
        ) from error
