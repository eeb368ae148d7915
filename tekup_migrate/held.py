"""The secrets that an app's env file holds now, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tekup_migrate.credentials.keys import is_placeholder, read_key, slot_of
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres.dsn import parse_url

_DATABASE_URL = re.compile(r"(?:DATABASE|DIRECT|POSTGRES\w*|PG)_URL\w*$|^DB_URL$")
_API_URL = re.compile(r"https?://([a-z0-9]+)\.supabase\.")


@dataclass(frozen=True, slots=True)
class HeldSecret:
    """A secret in an env file.

    Attributes:
        name: the variable that holds it.
        kind: ``password``, ``anon key`` or ``service key``.
        ref: the project it says it belongs to, or empty where neither it nor its file says so.
        address: for a password, host, port and database that it is for.
        secret: the secret itself.
    """

    name: str
    kind: str
    ref: str
    address: str
    secret: Secret


def held_secrets(values: Mapping[str, str | None]) -> tuple[HeldSecret, ...]:
    """Return the passwords and API keys among an env file's values, in the file's order; placeholders are none."""
    urls = [found[1] for name, value in values.items() if value and (found := _API_URL.match(value))]
    file_ref = urls[0] if len(set(urls)) == 1 else ""
    held: list[HeldSecret] = []
    for name, value in values.items():
        slot = slot_of(name)
        if value and slot is not None and not is_placeholder(value):
            secret = Secret(value, kind=slot)
            ref = read_key(secret).ref or file_ref
            held.append(HeldSecret(name, slot, ref, "", Secret(value, kind=slot, project=ref)))
        elif value and _DATABASE_URL.search(name) and (one := _password_in(name, value)) is not None:
            held.append(one)
    return tuple(held)


def _password_in(name: str, value: str) -> HeldSecret | None:
    try:
        parsed = parse_url(value)
    except ConnectionFailedError:
        return None
    if parsed.password is None or is_placeholder(parsed.password.reveal()):
        return None
    ref = parsed.url.ref
    secret = Secret(parsed.password.reveal(), kind="password", project=ref)
    return HeldSecret(name, "password", ref, parsed.url.label, secret)
