"""What can go wrong with an env file that the operator can act on."""

from __future__ import annotations

from tekup_migrate.errors import MigrationError


class EnvFileError(MigrationError):
    """An env file cannot be read, written or rewritten as asked."""


class UnsafeValueError(EnvFileError):
    """No way of quoting makes all the readers of an env file read this value alike.

    Names the key, never the value.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(
            f"The new value of {key} cannot be written safely",
            happened=f"The value {reason}.",
            unchanged="Nothing was written.",
            remedy="In a database URL, percent-encode the character. Otherwise choose a value without it.",
        )
        self.key = key
