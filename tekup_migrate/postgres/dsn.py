"""Connection URLs taken apart, and every mistake in them that can be seen without connecting.

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

TRANSACTION_POOLER_PORT = 6543

_DIRECT = re.compile(r"db\.(?P<ref>[a-z0-9]+)\.supabase\.(?:co|com|red)\Z")
_POOLER = re.compile(r"[a-z]+-\d+-(?P<region>[a-z0-9-]+)\.pooler\.supabase\.(?:com|co|red)\Z")
_POOLER_USER = re.compile(r"[^.]+\.(?P<ref>[a-z0-9]+)\Z")
_PLACEHOLDER = re.compile(r"\[[^\]]*\]|<[^>]*>|\.\.\.|…|(?:your|YOUR)[-_]?(?:password|PASSWORD)|(?<!\w)x{3,}(?!\w)")
_UNSAFE = re.compile(r"[@#$/?\s\[\]]")
_PLAINTEXT_MODES = ("disable", "allow", "prefer")


class ConnectionKind(Enum):
    """What a connection URL leads to."""

    DIRECT = "direct"
    SESSION_POOLER = "session pooler"
    TRANSACTION_POOLER = "transaction pooler"
    OTHER = "other Postgres"


class FindingKind(Enum):
    """A mistake that is visible in a connection URL."""

    POOLER_USER_ON_DIRECT_HOST = "pooler user on a direct host"
    PLAIN_USER_ON_POOLER_HOST = "plain user on a pooler host"
    OTHER_REF = "another project's ref"
    REFS_DISAGREE = "two different refs"
    OTHER_REGION = "another region"
    TRANSACTION_PORT = "transaction pooler port"
    UNENCODED_PASSWORD = "unencoded password"  # noqa: S105 - names a mistake
    NO_TLS = "no TLS"
    PLACEHOLDER = "placeholder"


@dataclass(frozen=True)
class Finding:
    """One mistake: ``fatal`` ones make connecting pointless or unsafe; ``suggestion`` never holds a password."""

    kind: FindingKind
    message: str
    remedy: str
    fatal: bool = False


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
    """Take a pasted connection URL apart.

    A password with unencoded ``@``, ``/``, ``#`` or ``?`` is still found, because the host is what follows the
    last ``@``; that it was not encoded is a finding.

    Raises:
        ConnectionFailedError: it is no ``postgresql://`` URL, or has no user or host.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme.lower() not in ("postgres", "postgresql"):
        raise _unreadable("It does not begin with postgresql://.")
    userinfo, at, location = rest.rpartition("@")
    if not at or not userinfo:
        raise _unreadable("It names no user before an @.")
    user, colon, password = userinfo.partition(":")
    host, port, path = _split_location(location)
    database, _, query = path.partition("?")
    url = ConnectionUrl(
        user=unquote(user),
        host=host.lower(),
        port=port,
        database=unquote(database) or "postgres",
        parameters=tuple(parse_qsl(query, keep_blank_values=True)),
    )
    findings = tuple(_password_findings(password))
    secret = Secret(unquote(password), kind="database password", project=url.ref) if colon and password else None
    return ParsedUrl(url=url, password=secret, findings=findings)


def encode_password(password: Secret) -> str:
    """Return a password percent-encoded for a URL and safe in an ``.env`` file; it is still a secret."""
    return quote(password.reveal(), safe="")


def check_url(url: ConnectionUrl, *, ref: str = "", region: str = "") -> tuple[Finding, ...]:
    """Return every mistake that is visible without connecting, against the project's ref and region where known."""
    found = [*_host_findings(url), *_project_findings(url, ref, region), *_tls_findings(url)]
    placeholder = next((part for part in (url.user, url.host, url.database) if _PLACEHOLDER.search(part)), None)
    if placeholder is not None:
        found.append(_placeholder(placeholder))
    return tuple(found)


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
        raise _unreadable("It names no host, or its port is not a number.")
    port = int(found["p6"] or found["port"] or 5432)
    if not 0 < port < 65536:
        raise _unreadable(f"There is no port {port}.")
    return found["v6"] or found["name"], port, path


def _unreadable(why: str) -> ConnectionFailedError:
    return ConnectionFailedError(
        "This is not a connection URL",
        happened=why,
        unchanged="Nothing was connected to.",
        remedy="Paste the session pooler's URL from the dashboard's Connect dialog: " + session_pooler_form("", ""),
    )


def _password_findings(password: str) -> list[Finding]:
    if not password:
        return []
    if _PLACEHOLDER.fullmatch(password) or re.fullmatch(r"\[.*\]|<.*>", password):
        return [_placeholder("the password")]
    unsafe = sorted(set(_UNSAFE.findall(password)))
    if not unsafe:
        return []
    shown = " ".join("space" if char.isspace() else char for char in unsafe)
    encoded = ", ".join(f"{'space' if c.isspace() else c} → {quote(c, safe='')}" for c in unsafe)
    return [
        Finding(
            FindingKind.UNENCODED_PASSWORD,
            f"The password holds {shown} unencoded; other programs cut or misread such a URL.",
            f"Write it percent-encoded: {encoded}.",
        )
    ]


def _host_findings(url: ConnectionUrl) -> list[Finding]:
    found = []
    if url.port == TRANSACTION_POOLER_PORT:
        remedy = "Use the session pooler: the same URL with port 5432."
        message = "Port 6543 is the transaction pooler, which loses session settings between statements."
        found.append(Finding(FindingKind.TRANSACTION_PORT, message, remedy, fatal=True))
    if url.host_ref and url.user_ref:
        message = f"The user {url.user} belongs to a pooler, but the host is the direct one."
        remedy = f"Use the user {url.user.partition('.')[0]} here, or the pooler's host from the Connect dialog."
        found.append(Finding(FindingKind.POOLER_USER_ON_DIRECT_HOST, message, remedy, fatal=True))
    if url.region and not url.user_ref:
        message = f"The user {url.user} names no project, but the host is a pooler that serves many."
        remedy = f"Use the user {url.user}.<ref>."
        found.append(Finding(FindingKind.PLAIN_USER_ON_POOLER_HOST, message, remedy, fatal=True))
    return found


def _project_findings(url: ConnectionUrl, ref: str, region: str) -> list[Finding]:
    found = []
    if url.host_ref and url.user_ref and url.host_ref != url.user_ref:
        message = f"The host names the project {url.host_ref}, the user names {url.user_ref}."
        found.append(
            Finding(FindingKind.REFS_DISAGREE, message, "Paste the URL again from one project's dialog.", True)
        )
    if ref and url.ref and url.ref != ref:
        message = f"The URL names the project {url.ref}; this project is {ref}."
        remedy = "Paste the URL from the right project's Connect dialog."
        found.append(Finding(FindingKind.OTHER_REF, message, remedy, fatal=True))
    if region and url.region and url.region != region:
        message = f"The host is in {url.region}; this project is said to be in {region}."
        remedy = "Look at the region in the project's settings and paste the URL from there."
        found.append(Finding(FindingKind.OTHER_REGION, message, remedy))
    return found


def _tls_findings(url: ConnectionUrl) -> list[Finding]:
    mode = dict(url.parameters).get("sslmode", "")
    if mode not in _PLAINTEXT_MODES or url.is_loopback:
        return []
    message = f"sslmode={mode} allows an unencrypted connection."
    remedy = "This program always verifies TLS; remove it so that other programs do too."
    return [Finding(FindingKind.NO_TLS, message, remedy)]


def _placeholder(where: str) -> Finding:
    remedy = "Put the real value in its place; the password is in the project's database settings."
    return Finding(FindingKind.PLACEHOLDER, f"There is a placeholder in {where}.", remedy, fatal=True)
