"""Connection URLs taken apart: what they lead to, and which project and region they name.

The forms of a Supabase URL are those of the dashboard's Connect dialog: direct
(``postgres@db.<ref>.supabase.co:5432``), session pooler (``postgres.<ref>@aws-<n>-<region>.pooler.supabase.com:5432``)
and transaction pooler (the same host on port 6543).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, quote, unquote

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.loopback import is_loopback
from tekup_migrate.postgres.url_mistakes import TRANSACTION_POOLER_PORT, Finding, password_findings

_DIRECT = re.compile(r"db\.(?P<ref>[a-z0-9]+)\.supabase\.(?:co|com|red)\Z")
_POOLER = re.compile(r"[a-z]+-\d+-(?P<region>[a-z0-9-]+)\.pooler\.supabase\.(?:com|co|red)\Z")
_POOLER_USER = re.compile(r"[^.]+\.(?P<ref>[a-z0-9]+)\Z")


class ConnectionKind(Enum):
    """What a connection URL leads to."""

    DIRECT = "direct"
    SESSION_POOLER = "session pooler"
    TRANSACTION_POOLER = "transaction pooler"
    OTHER = "other Postgres"


@dataclass(frozen=True)
class ConnectionUrl:
    """A Postgres connection URL without its password.

    Attributes:
        user: the role to log in as; a pooler user carries the ref after a dot.
        host: a name or an address, without brackets.
        port: the TCP port.
        database: the database's name.
        parameters: the query string's pairs, in order.
    """

    user: str
    host: str
    port: int
    database: str
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> ConnectionKind:
        """What the URL leads to, by its host and port."""
        if _DIRECT.match(self.host):
            if self.port == TRANSACTION_POOLER_PORT:
                return ConnectionKind.TRANSACTION_POOLER
            return ConnectionKind.DIRECT
        if _POOLER.match(self.host):
            if self.port == TRANSACTION_POOLER_PORT:
                return ConnectionKind.TRANSACTION_POOLER
            return ConnectionKind.SESSION_POOLER
        return ConnectionKind.OTHER

    @property
    def host_ref(self) -> str:
        """The project ref that the host names, or empty."""
        found = _DIRECT.match(self.host)
        return found["ref"] if found else ""

    @property
    def user_ref(self) -> str:
        """The project ref that a pooler user names, or empty."""
        found = _POOLER_USER.match(self.user)
        return found["ref"] if found else ""

    @property
    def ref(self) -> str:
        """The project ref that the URL names, or empty; the host's where host and user disagree."""
        return self.host_ref or self.user_ref

    @property
    def region(self) -> str:
        """The region that the pooler's host names, or empty."""
        found = _POOLER.match(self.host)
        return found["region"] if found else ""

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, the only place where plaintext is allowed."""
        return is_loopback(self.host)

    @property
    def label(self) -> str:
        """Host, port and database, as shown to the operator."""
        return f"{self.host}:{self.port}/{self.database}"

    def __str__(self) -> str:
        """The URL without a password."""
        return self.with_password("")

    def with_password(self, encoded: str) -> str:
        """Return the URL with an already percent-encoded password, or without one when it is empty."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        secret = f":{encoded}" if encoded else ""
        query = "&".join(f"{quote(k, safe='')}={quote(v, safe='/:,.-_')}" for k, v in self.parameters)
        tail = f"?{query}" if query else ""
        return f"postgresql://{quote(self.user, safe='.-_')}{secret}@{host}:{self.port}/{quote(self.database)}{tail}"


@dataclass(frozen=True)
class ParsedUrl:
    """What a pasted URL held: the URL, the password where there was one, and the mistakes in how it was written."""

    url: ConnectionUrl
    password: Secret | None
    findings: tuple[Finding, ...] = ()


def parse_url(text: str) -> ParsedUrl:
    """Take a connection URL apart; ``pasted`` knows the other forms that one is pasted in.

    A password with unencoded ``@``, ``/``, ``#`` or ``?`` is still found, because the host is what follows the
    last ``@``; that it was not encoded is a finding.

    Raises:
        ConnectionFailedError: it is no ``postgresql://`` URL, or has no user or host.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme.lower().partition("+")[0] not in ("postgres", "postgresql"):
        raise unreadable("It does not begin with postgresql://.")
    if not rest.isprintable():
        raise unreadable("It holds a control character.")
    userinfo, at, location = rest.rpartition("@")
    if not at or not userinfo:
        raise unreadable("It names no user before an @.")
    user, colon, password = userinfo.partition(":")
    if not user.strip():
        raise unreadable("It names no user before the password.")
    if "%00" in rest:  # Postgres can hold it in no name and no password
        raise unreadable("It holds a control character.")
    host, port, path = _split_location(location)
    database, _, query = path.partition("?")
    url = ConnectionUrl(
        user=_decoded(user.strip()),
        host=host.lower().rstrip(".") or host,
        port=port,
        database=_decoded(database) or "postgres",
        parameters=tuple(parse_qsl(query, keep_blank_values=True)),
    )
    findings = tuple(password_findings(password))
    secret = Secret(_decoded(password), kind="database password", project=url.ref) if colon and password else None
    return ParsedUrl(url=url, password=secret, findings=findings)


def _decoded(text: str) -> str:
    """Decode percent signs; where that makes no text they were meant as they stand."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def encode_password(password: Secret) -> str:
    """Return a password percent-encoded for a URL and safe in an ``.env`` file; it is still a secret."""
    return quote(password.reveal(), safe="")


def session_pooler_form(ref: str, region: str) -> str:
    """Return what a session pooler URL of a project looks like; the shard number is in the Connect dialog only."""
    return f"postgresql://postgres.{ref or '<ref>'}@aws-<n>-{region or '<region>'}.pooler.supabase.com:5432/postgres"


def _split_location(location: str) -> tuple[str, int, str]:
    authority, slash, path = location.partition("/")
    if not slash:
        authority, question, query = location.partition("?")
        path = f"?{query}" if question else ""
    found = re.fullmatch(r"\[(?P<v6>[^\]]+)\](?::(?P<p6>\d+))?|(?P<name>[^:]+)(?::(?P<port>\d+))?", authority)
    if found is None:
        raise unreadable("It names no host, or its port is not a number.")
    port = int(found["p6"] or found["port"] or 5432)
    if not 0 < port < 65536:
        raise unreadable(f"There is no port {port}.")
    return found["v6"] or found["name"], port, path


def unreadable(why: str) -> ConnectionFailedError:
    """Say that a text is no connection URL, and what to paste instead; ``why`` must not repeat the text."""
    return ConnectionFailedError(
        "This is not a connection URL",
        happened=why,
        unchanged="Nothing was connected to.",
        remedy="Paste the session pooler's URL from the dashboard's Connect dialog: " + session_pooler_form("", ""),
    )
