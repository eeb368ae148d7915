"""Secrets of the sample world, made at run time so that none is ever in a repository of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field

import msgspec

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.rehearsal.cipher import seal

_YEARS_VALID = 10


@dataclass(frozen=True)
class ProjectKeys:
    """A project's legacy API keys: JWTs signed with a secret that nobody keeps."""

    anon: Secret
    service: Secret


def make_keys(ref: str) -> ProjectKeys:
    """Make the anon and the service key of a project."""
    signing = secrets.token_bytes(32)
    issued = int(time.time()) - 86_400
    return ProjectKeys(
        anon=Secret(_token(ref, "anon", issued, signing), kind="anon key", project=ref),
        service=Secret(_token(ref, "service_role", issued, signing), kind="service key", project=ref),
    )


def _token(ref: str, role: str, issued: int, signing: bytes) -> str:
    expires = issued + _YEARS_VALID * 365 * 86_400
    claims = {"iss": "supabase", "ref": ref, "role": role, "iat": issued, "exp": expires}
    signed = ".".join(_encoded(msgspec.json.encode(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{_encoded(hmac.new(signing, signed.encode(), hashlib.sha256).digest())}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class AppSecrets:
    """Secrets that templates ask for by name: each is made when first named, and stays the same."""

    made: dict[str, Secret] = field(default_factory=dict)

    def named(self, name: str) -> Secret:
        """Return the secret of this name: 64 hexadecimal digits."""
        # Repositories and databases are filled at the same time, by threads: the first secret of a name must win.
        return self.made.setdefault(name, Secret(secrets.token_hex(32), kind=name))

    def sealed(self, name: str, text: str) -> str:
        """Return ``text`` encrypted with the secrets ``<name>_key`` and ``<name>_salt``, anew at each call."""
        key, salt = self.named(f"{name}_key").reveal(), self.named(f"{name}_salt").reveal()
        return seal(text, key=key, salt=salt)
