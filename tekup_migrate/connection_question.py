"""What the operator is asked where a project's database cannot be connected to, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from tekup_migrate.credentials.secret import Secret
    from tekup_migrate.errors import MigrationError


class ConnectionRequest(Struct, frozen=True, kw_only=True):
    """A connection that is needed: to which project, what is known of it so far, and what was wrong with that.

    Attributes:
        title: how the project is named.
        ref: its reference.
        region: the cloud region it is said to be in.
        text: the URL as it stands, without a password; what was pasted before, where there was a try.
        planned: the plan's own URL, without a password.
        password: the password as it stands.
        trouble: why this does not connect, cause and cure; None before the first try.
        kept_in: where the password will be kept.
    """

    title: str
    ref: str
    region: str
    text: str
    planned: str
    password: Secret | None
    trouble: MigrationError | None
    kept_in: str


class ConnectionAnswer(Struct, frozen=True, kw_only=True):
    """What to connect with: a URL or its parts, as pasted; a password in it counts where ``password`` is None."""

    text: str
    password: Secret | None
