"""What can go wrong with an env file that the operator can act on."""

from __future__ import annotations

import re

from tekup_migrate.credentials.patterns import secret_forms
from tekup_migrate.errors import MigrationError

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,79}")


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


def shown_key(key: str) -> str:
    """Return how a key of a file may be named: a secret alone on a line is a key as well, and is not named."""
    if _NAME.fullmatch(key) and not any(secret_forms(key)):
        return key
    return "a line that sets nothing"
