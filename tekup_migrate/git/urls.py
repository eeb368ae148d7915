"""Remote addresses fit for a screen."""

from __future__ import annotations

import re

# scheme://user:password@host, scheme://token@host; "@" may stand unencoded inside a password.
_AUTHORITY = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^\s/?#]*)@(?P<rest>[^\s@]*)")
_QUERY = re.compile(r"(://[^\s?#]*)\?[^\s#'\"]+")


def mask_urls(text: str) -> str:
    """Return ``text`` with the credentials of every address in it replaced by ``***``.

    The user name of an ssh address is kept: it is no secret there. For http a lone user name is often a
    token, so it is masked as well.
    """
    return _QUERY.sub(r"\1?***", _AUTHORITY.sub(_masked, text))


def _masked(match: re.Match[str]) -> str:
    scheme, user, rest = match.group("scheme"), match.group("user"), match.group("rest")
    name, colon, _ = user.partition(":")
    if scheme.lower() not in {"ssh", "git+ssh", "ssh+git"}:
        return f"{scheme}://***@{rest}"
    shown = f"{name}:***" if colon else name
    return f"{scheme}://{shown}@{rest}"
