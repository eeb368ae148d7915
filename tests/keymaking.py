"""Keys and passwords made at run time: nothing real, and nothing that stands in the repository."""

from __future__ import annotations

import base64
import json
import secrets
import string
import time


def made_ref() -> str:
    """Return a project ref: 20 lower-case letters."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))


def made_jwt(*, ref: str, role: str, expires_in: float = 3600) -> str:
    """Return what a legacy Supabase key looks like; its signature is random."""
    now = int(time.time())
    claims = {"iss": "supabase", "ref": ref, "role": role, "iat": now, "exp": now + int(expires_in)}
    parts = [_encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()), _encoded(json.dumps(claims).encode())]
    return ".".join([*parts, _encoded(secrets.token_bytes(32))])


def made_password() -> str:
    """Return a password that no other test has; what must be encoded is for the test to put into it."""
    return secrets.token_hex(8)


def made_secret_key() -> str:
    """Return what a new secret key looks like."""
    return "sb_" + "secret_" + secrets.token_urlsafe(24)


def made_access_token() -> str:
    """Return what a personal access token looks like."""
    return "sbp_" + secrets.token_hex(20)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
