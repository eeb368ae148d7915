"""Every mistake in a connection URL that can be seen without connecting."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import quote

from tekup_migrate.credentials.keys import KeyKind, read_key
from tekup_migrate.credentials.secret import Secret

if TYPE_CHECKING:
    from tekup_migrate.postgres.dsn import ConnectionUrl

TRANSACTION_POOLER_PORT = 6543
SESSION_PORT = 5432

_PLACEHOLDER = re.compile(
    r"\[[^\]]*\]|<[^>]*>|\.\.\.|…|\*{3,}|•+|(?:your|YOUR)[-_]?(?:password|PASSWORD|project|PROJECT|ref|REF)[\w-]*"
    r"|project[-_]ref|(?<!\w)x{3,}(?!\w)"
)
_UNSAFE = re.compile(r"[@#$/?\s\[\]]|%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"(?!.*\.\.)\w(?:[\w.-]{0,251}\w)?")
_LONG_LABEL = re.compile(r"[^.]{64}")
_API_HOST = re.compile(r"(?P<ref>[a-z]{20})\.supabase\.(?:co|com|red)")
_UNSAFE_MODES = {
    "disable": "allows an unencrypted connection",
    "allow": "allows an unencrypted connection",
    "prefer": "allows an unencrypted connection",
    "no-verify": "does not look at the server's certificate",
}


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
    API_HOST = "the API's host"
    BROKEN_HOST = "no host name"
    OTHER_PORT = "a port that Supabase does not use"
    OTHER_DATABASE = "a database that Supabase does not make"
    KEY_AS_PASSWORD = "API key as password"  # noqa: S105 - names a mistake
    SEVERAL = "several URLs"


@dataclass(frozen=True)
class Finding:
    """One mistake: ``fatal`` ones make connecting pointless or unsafe; no text holds a password."""

    kind: FindingKind
    message: str
    remedy: str
    fatal: bool = False


KEY_AS_PASSWORD = Finding(
    FindingKind.KEY_AS_PASSWORD,
    "What stands in the place of the password is an API key.",
    "The database password is another one: it is in the project's database settings.",
    fatal=True,
)


def check_url(url: ConnectionUrl, *, ref: str = "", region: str = "") -> tuple[Finding, ...]:
    """Return every mistake that is visible without connecting, against the project's ref and region where known."""
    found = [*_host_findings(url), *_project_findings(url, ref, region), *_tls_findings(url)]
    placeholder = next((part for part in (url.user, url.host, url.database) if _PLACEHOLDER.search(part)), None)
    if placeholder is not None:
        found.append(_placeholder(placeholder))
    return tuple(found)


def password_findings(password: str) -> list[Finding]:
    """Return what is wrong with a password as it stands in a URL; it is never repeated."""
    if not password:
        return []
    if _PLACEHOLDER.fullmatch(password) or re.fullmatch(r"\[.*\]|<.*>", password):
        return [_placeholder("the password")]
    if read_key(Secret(password, kind="password")).kind not in (KeyKind.UNKNOWN, KeyKind.PLACEHOLDER):
        return [KEY_AS_PASSWORD]
    unsafe = sorted(set(_UNSAFE.findall(password)))
    if not unsafe:
        return []
    shown = " ".join("space" if char.isspace() else char for char in unsafe)
    encoded = ", ".join(f"{'space' if c.isspace() else c} → {quote(c, safe='')}" for c in unsafe)
    return [
        Finding(
            FindingKind.UNENCODED_PASSWORD,
            f"The password holds {shown} unencoded; other programs cut or misread such a URL.",
            f"It is taken as it stands here. Where it is written into a URL it must be encoded: {encoded}.",
        )
    ]


def _host_findings(url: ConnectionUrl) -> list[Finding]:
    found = _name_findings(url)
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


def _name_findings(url: ConnectionUrl) -> list[Finding]:
    """Find what is wrong with the host as a name, and with port and database where they are Supabase's."""
    found = []
    api = _API_HOST.fullmatch(url.host)
    if api:
        message = f"{url.host} is the address of the project's API, not of its database."
        remedy = f"Use db.{api['ref']}.supabase.co, or the session pooler's host from the Connect dialog."
        found.append(Finding(FindingKind.API_HOST, message, remedy, fatal=True))
    elif not _PLACEHOLDER.search(url.host) and not _is_host(url.host):
        message = f"“{url.host}” cannot be the name of a host."
        found.append(Finding(FindingKind.BROKEN_HOST, message, "Copy the URL again, as a whole.", fatal=True))
    if not (url.host_ref or url.region):
        return found
    if url.port not in (SESSION_PORT, TRANSACTION_POOLER_PORT):
        message = f"Supabase does not listen on port {url.port}."
        found.append(Finding(FindingKind.OTHER_PORT, message, f"Use port {SESSION_PORT}."))
    if url.database != "postgres":
        message = f"The database is called {url.database}; a Supabase project's is called postgres."
        found.append(Finding(FindingKind.OTHER_DATABASE, message, "Look at the end of the URL, behind the port."))
    return found


def _is_host(host: str) -> bool:
    return ":" in host or (_HOST.fullmatch(host) is not None and not _LONG_LABEL.search(host))


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
    mode = dict(url.parameters).get("sslmode", "").lower()
    if mode not in _UNSAFE_MODES or url.is_loopback:
        return []
    message = f"sslmode={mode} {_UNSAFE_MODES[mode]}."
    remedy = "This program always verifies TLS; take it out so that other programs do too."
    return [Finding(FindingKind.NO_TLS, message, remedy)]


def _placeholder(where: str) -> Finding:
    remedy = "Put the real value in its place; the password is in the project's database settings."
    return Finding(FindingKind.PLACEHOLDER, f"There is a placeholder in {where}.", remedy, fatal=True)
