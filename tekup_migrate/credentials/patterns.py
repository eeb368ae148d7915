"""What secrets look like, for finding those that are not held.

Scanners miss ``sb_secret_`` and ``sbp_`` keys, so the forms are spelled out here. A finding's value never
leaves as text: it is a ``Secret`` of the right kind and project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tekup_migrate.credentials.keys import KeyKind, is_placeholder, read_key
from tekup_migrate.credentials.secret import Secret

_JWT = r"(?P<jwt>eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})"
_SECRET_KEY = r"(?P<secret>sb_secret_[A-Za-z0-9_-]{20,})"  # noqa: S105 - a pattern, not a value
_ACCESS_TOKEN = r"(?P<token>sbp_(?:v0_)?[0-9a-f]{40})"  # noqa: S105 - a pattern, not a value
# The host is looked ahead for, so that a password with an unencoded @ is taken whole; outside Postgres, what
# begins like a port is one. The scheme's length is bounded, or a long run of letters would take quadratic time.
_URL = (
    r"(?:(?P<postgres>postgres(?:ql)?(?:\+\w{1,20})?)|(?<![A-Za-z0-9+-])[A-Za-z][A-Za-z0-9+-]{0,30})"
    r"://(?P<user>[^\s:/@\"'`<>]*)"
    r":(?(postgres)|(?!\d{1,5}[/?#]))(?P<password>(?:(?!://)[^\s\"'`<>])+)@(?=[\w.\[-])"
)
_PARAMETER = r"(?:[?&](?:ssl)?password=)(?P<parameter>[^&\s\"'`<>]+)"
_PRIVATE_KEY = (
    r"(?P<private>-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z ]*PRIVATE KEY-----)?)"
)
_ANY = re.compile("|".join((_JWT, _SECRET_KEY, _ACCESS_TOKEN, _URL, _PARAMETER, _PRIVATE_KEY)))
_GROUPS = ("password", "parameter", "jwt", "secret", "token", "private")
_USER_REF = re.compile(r"\.([a-z]{20})$")
_HOST_REF = re.compile(r"[\w.-]*?db\.([a-z]{20})\.supabase\.")


@dataclass(frozen=True, slots=True)
class Found:
    """Where in a text something secret stands, and what it is."""

    start: int
    end: int
    secret: Secret


def secret_forms(text: str) -> Iterator[Found]:
    """Find what looks like a secret, in the order of the text.

    That is: JWTs, ``sb_secret_`` and ``sbp_`` keys, passwords in URLs, and private keys in PEM. Placeholders
    such as ``[YOUR-PASSWORD]`` are not secrets.
    """
    for match in _ANY.finditer(text):
        group = next(name for name in _GROUPS if match[name] is not None)
        value = match[group]
        if is_placeholder(value):
            continue
        start, end = match.span(group)
        yield Found(start, end, _named(group, value, match, text))


def named_key(value: str) -> Secret:
    """Return a key as a ``Secret`` that says what kind it is and whose."""
    plain = Secret(value, kind=KeyKind.UNKNOWN)
    reading = read_key(plain)
    return Secret(value, kind=reading.kind, project=reading.ref or "")


def _named(group: str, value: str, match: re.Match[str], text: str) -> Secret:
    if group == "private":
        return Secret(value, kind="private key")
    if group not in {"password", "parameter"}:
        return named_key(value)
    owner = _USER_REF.search(match["user"] or "") or _HOST_REF.match(text, match.end())
    return Secret(value, kind="password", project=owner[1] if owner else "")
