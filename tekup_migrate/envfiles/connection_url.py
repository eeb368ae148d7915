"""Giving a database URL another user, password, host, port or database, and keeping everything else.

The query string, where Prisma's ``schema`` and the pool's parameters live, is kept to the byte. What is put
in is percent-encoded down to RFC 3986's unreserved characters, because the readers of env files disagree
about ``$``, ``#``, quotes and spaces, and the readers of URLs about ``@`` and ``/``.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.errors import EnvFileError

_SCHEME = r"(?P<scheme>postgres(?:ql)?(?:\+\w+)?)://"
_HOST = r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:/?#@\[\]]*)(?::(?P<port>\d*))?"
_DATABASE = r"(?:(?P<slash>/)(?P<database>[^/?#@]*))?"
# Tried in this order: as RFC 3986 has it; with a password that should have been encoded; with an @ in the query.
_URLS = tuple(
    re.compile(rf"{_SCHEME}(?:(?P<userinfo>{userinfo})@)?{_HOST}{_DATABASE}(?P<query>{query})?", re.DOTALL)
    for userinfo, query in (
        (r"[^/?#@]*", r"\?(?:[\w.-]+=.*)?"),
        (r".*?", r"\?[^@]*"),
        (r".*?", r"\?.*"),
    )
)


def rewritten_url(
    url: Secret | str,
    *,
    user: str | None = None,
    password: Secret | None = None,
    host: str | None = None,
    port: int | None = None,
    database: str | None = None,
    project: str = "",
) -> Secret:
    """Return a Postgres URL with the given parts replaced; ``None`` keeps a part as it is written.

    The old password may hold an unencoded ``@``, ``#`` or ``/``. ``project`` is the ref that the new URL's
    mask names.

    Raises:
        EnvFileError: what is there is not a Postgres URL; the message does not repeat it.
    """
    match = _match(url.reveal() if isinstance(url, Secret) else url)
    userinfo = match["userinfo"] or ""
    old_user, colon, old_password = userinfo.partition(":")
    new_user = old_user if user is None else quote(user, safe="")
    secret = colon + old_password if password is None else ":" + quote(password.reveal(), safe="")
    new_host = match["host"] if host is None else _bracketed(host)
    old_port = f":{match['port']}" if match["port"] else ""
    new_port = old_port if port is None else f":{port}"
    path = (match["slash"] or "") + (match["database"] or "")
    new_path = path if database is None else "/" + quote(database, safe="")
    at = "@" if new_user or secret else ""
    value = f"{match['scheme']}://{new_user}{secret}{at}{new_host}{new_port}{new_path}{match['query'] or ''}"
    return Secret(value, kind="database URL", project=project)


def _match(url: str) -> re.Match[str]:
    for pattern in _URLS:
        match = pattern.fullmatch(url.strip())
        if match:
            return match
    raise EnvFileError(
        "The value is not a Postgres URL",
        happened="A database URL was expected: postgresql://user:password@host:port/database?parameters.",
        unchanged="Nothing was written.",
        remedy="Put a whole database URL into the file first, or leave this key out.",
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
