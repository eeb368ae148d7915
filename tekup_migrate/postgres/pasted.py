"""What operators paste when they are asked for a connection: a URL in any dress, or its parts.

Known dresses: quotes, ``DATABASE_URL=…``, ``export …``, a whole ``.env`` file, ``psql "postgres://…"``, ``psql -h …``,
``jdbc:postgresql://…``, and its parts beside their names (``named_parts``), as the dashboard's Connect dialog has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from urllib.parse import parse_qsl, quote, urlencode

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres.dsn import ConnectionKind, ConnectionUrl, ParsedUrl, parse_url, unreadable
from tekup_migrate.postgres.named_parts import named_parts
from tekup_migrate.postgres.url_mistakes import Finding, FindingKind, check_url, password_findings

# From the scheme to what follows the last @ of the line: a password may hold anything, even spaces and quotes.
_URL = re.compile(
    r"(?P<quote>[\"'`“‘]?)(?P<scheme>postgres(?:ql)?(?:\+\w+)?)://(?P<user>(?:(?!://).)*@)?(?P<rest>[^\s\"'`”’;]*)",
    re.IGNORECASE,
)
_JDBC = re.compile(r"jdbc:postgresql://(?P<location>[^\s\"'?;]+)(?:\?(?P<query>[^\s\"';]*))?", re.IGNORECASE)
_PLACE = re.compile(r"(?:\w+://)?(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:/@\[\]\s]+))(?::(?P<port>\d+))?/?")
_ALONE = re.compile(r"postgres(?:ql)?(?:\+\w+)?://(?!.*://)(?!.*\s#)", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """What a pasted text and a password typed beside it amount to.

    Attributes:
        url: what to connect to.
        password: the one typed beside it, or the one in the text.
        findings: every mistake that can be seen without connecting, what is fatal first.
    """

    url: ConnectionUrl
    password: Secret | None
    findings: tuple[Finding, ...]

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """The mistakes that make connecting pointless or unsafe."""
        return tuple(found for found in self.findings if found.fatal)

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """The URL taken apart, each part with its name, fit for painting."""
        url = self.url
        whose = [(name, part) for name, part in (("ref", url.ref), ("region", url.region)) if part]
        mode = dict(url.parameters).get("sslmode", "")
        return (
            ("what", _KINDS[url.kind]),
            *whose,
            ("host", f"{url.host}, port {url.port}"),
            ("user", url.user),
            ("database", url.database),
            *((("sslmode", mode),) if mode else ()),
        )


_KINDS = {
    ConnectionKind.DIRECT: "direct connection; IPv6 only without the add-on",
    ConnectionKind.SESSION_POOLER: "session pooler",
    ConnectionKind.TRANSACTION_POOLER: "transaction pooler, which cannot migrate",
    ConnectionKind.OTHER: "other Postgres",
}


def read_pasted(text: str, *, password: Secret | None = None, ref: str = "", region: str = "") -> Reading:
    """Take a pasted text apart, and name every mistake in it.

    Args:
        text: whatever was pasted.
        password: one that was typed beside it; it counts before the one in the text.
        ref: the project's ref, where it is known.
        region: the project's region, where it is known.

    Raises:
        ConnectionFailedError: it is no connection URL and holds no host and user; the text is not repeated.
    """
    texts = list(_url_texts(text))
    parsed = [parse_url(each) for each in texts] if texts else [_from_parts(text)]
    best = min(parsed, key=lambda each: _rank(each.url, ref))
    findings = [*best.findings, *check_url(best.url, ref=ref, region=region)]
    if password is not None:
        spelled = [found for found in password_findings(password.reveal()) if found.fatal]
        findings = [*spelled, *check_url(best.url, ref=ref, region=region)]
    different = {str(each.url) for each in parsed}
    if len(different) > 1:
        message = f"{len(different)} connection URLs were pasted; {best.url.label} as {best.url.user} is taken."
        findings.append(Finding(FindingKind.SEVERAL, message, "Paste another one alone if that is not it."))
    ordered = sorted(findings, key=lambda found: not found.fatal)
    return Reading(best.url, password or best.password, tuple(ordered))


def _rank(url: ConnectionUrl, ref: str) -> tuple[bool, bool]:
    """Order URLs by how well they fit: of the project, then not the transaction pooler."""
    return bool(ref) and url.ref != ref, url.kind is ConnectionKind.TRANSACTION_POOLER


def _url_texts(text: str) -> Iterator[str]:
    """Yield every URL in a text, undressed."""
    for line in text.splitlines():
        alone = line.strip().rstrip(";")
        if _ALONE.match(alone):
            # Nothing but a URL: a space in it is a slip to be named, not its end.
            yield alone
            continue
        for found in _JDBC.finditer(line):
            yield _from_jdbc(found)
        for found in _URL.finditer(line):
            if line[: found.start()].lower().endswith("jdbc:"):
                continue
            user = found["user"] or ""
            if found["quote"] and user.startswith(found["quote"]):
                continue
            rest = found["rest"]
            yield f"{found['scheme']}://{user}{rest.rstrip(',')}"


def _from_jdbc(found: re.Match[str]) -> str:
    query = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    user, password = query.pop("user", ""), query.pop("password", "")
    secret = f":{quote(password, safe='')}" if password else ""
    tail = f"?{urlencode(query)}" if query else ""
    userinfo = f"{quote(user, safe='.-_')}{secret}@" if user else ""
    return f"postgresql://{userinfo}{found['location']}{tail}"


def _from_parts(text: str) -> ParsedUrl:
    """Put a URL together from its named parts."""
    parts = named_parts(text)
    if "host" not in parts or "user" not in parts:
        raise _not_even_parts(text)
    host, beside = _place(parts["host"])
    port = parts.get("port") or beside or "5432"
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise unreadable("Its port is not a number from 1 to 65535.")
    mode = parts.get("sslmode", "").lower()
    url = ConnectionUrl(
        user=parts["user"],
        host=host.lower().rstrip("."),
        port=int(port),
        database=parts.get("database") or "postgres",
        parameters=(("sslmode", mode),) if mode else (),
    )
    secret = parts.get("password")
    # Written beside a name and not inside a URL, it needs no encoding.
    findings = tuple(found for found in password_findings(secret or "") if found.fatal)
    held = Secret(secret, kind="database password", project=url.ref) if secret else None
    return replace(parse_url(str(url)), password=held, findings=findings)


def _place(host: str) -> tuple[str, str]:
    """Return a host, and the port that is written behind it, if any."""
    found = _PLACE.fullmatch(host)
    if found is not None:
        return found["v6"] or found["name"], found["port"] or ""
    try:
        return str(IPv6Address(host)), ""
    except ValueError:
        raise unreadable("Its host is not one name or address.") from None


def _not_even_parts(text: str) -> ConnectionFailedError:
    if "supabase.com/dashboard" in text:
        return unreadable("This is the dashboard's address; the database's is in its Connect dialog.")
    if re.search(r"https?://[a-z]{20}\.supabase\.", text):
        return unreadable("This is the address of the project's API; the database's is in the Connect dialog.")
    if not text.strip():
        return unreadable("It is empty.")
    return unreadable("It does not begin with postgresql://, and it does not name a host and a user either.")
