"""Judges whether a secret leaked, without the redactor's own list of forms."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus


def forms(value: str) -> set[bytes]:
    """Every form of a secret that is searched for."""
    content = value.encode()
    alone = {value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1]}
    encoded = {base64.b64encode(content), base64.urlsafe_b64encode(content), content.hex().encode()}
    return {each.encode() for each in alone} | {each.rstrip(b"=") for each in encoded}


def named_in(content: bytes, secrets: dict[str, set[bytes]]) -> list[str]:
    """The names of the secrets that stand in some bytes, in any form."""
    return [name for name, each in secrets.items() if any(form in content for form in each)]
