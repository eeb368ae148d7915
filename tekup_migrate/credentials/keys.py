"""Supabase API keys: what one says about itself, and whether it is in the right slot.

A legacy key is a JWT that names its project (``ref``), its ``role`` and its expiry, readable without a
network (https://supabase.com/docs/guides/api/api-keys). The new ``sb_publishable_`` and ``sb_secret_`` keys
are opaque: only their kind shows. Signatures are not checked; that takes the project's own secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from tekup_migrate.credentials.secret import Secret


class Slot(StrEnum):
    """Where a key is put: the one that browsers may hold, or the one that must stay on the server."""

    ANON = "anon key"
    SERVICE = "service key"


class KeyKind(StrEnum):
    """What a value is, judged by its form and by what it says about itself."""

    ANON = "anon key"
    SERVICE = "service key"
    PUBLISHABLE = "publishable key"
    SECRET = "secret key"  # noqa: S105 - a word, not a value
    ACCESS_TOKEN = "access token"  # noqa: S105 - a word, not a value
    OTHER_JWT = "JWT"
    PLACEHOLDER = "placeholder"
    UNKNOWN = "unknown value"


class Fault(StrEnum):
    """What can be wrong with a key in a slot."""

    NOT_A_KEY = "not a key"
    PLACEHOLDER = "placeholder"
    WRONG_SLOT = "wrong slot"
    OTHER_PROJECT = "other project"
    EXPIRED = "expired"
    MIXED_PROJECTS = "mixed projects"


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """One thing that is wrong with a key; the message names projects and roles, never the value."""

    fault: Fault
    message: str


@dataclass(frozen=True, slots=True)
class KeyReading:
    """What a value says about itself; ``ref``, ``role`` and the times are known of legacy keys only."""

    kind: KeyKind
    ref: str | None = None
    role: str | None = None
    issued: datetime | None = None
    expires: datetime | None = None


class _Claims(msgspec.Struct):
    iss: str | None = None
    ref: str | None = None
    role: str | None = None
    iat: float | None = None
    exp: float | None = None


_JWT = re.compile(r"[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*")
_OPAQUE = (("sb_publishable_", KeyKind.PUBLISHABLE), ("sb_secret_", KeyKind.SECRET), ("sbp_", KeyKind.ACCESS_TOKEN))
_ROLES = {"anon": KeyKind.ANON, "service_role": KeyKind.SERVICE}
# Narrow on purpose: what passes for a placeholder is neither masked nor reported. A mask is one, also as it stands in
# a picture: masked again it would show another fingerprint.
_PLACEHOLDER = re.compile(
    r"\s*|\[[\w .-]{1,40}\]|<[\w .-]{1,40}>|\{[\w .-]{1,40}\}|\$\{?[A-Za-z_]\w*\}?|[x*_.•-]+"
    r"|(?:eyJ|sb_secret_|sb_publishable_|sbp_)?[\w-]{0,8}(?:\.{2,3}|…)"
    r"|‹(?:[\w …,-]|&#160;){4,80}[0-9a-f]{4}›"
    r"|(?:[a-z]+[-_ ])*(?:your|placeholder|change[-_]?me|redacted)(?:[-_ ][a-z]+)*",
    re.IGNORECASE,
)
_FITS = {
    Slot.ANON: (KeyKind.ANON, KeyKind.PUBLISHABLE),
    Slot.SERVICE: (KeyKind.SERVICE, KeyKind.SECRET),
}
_SLOT_NAMES = (
    (re.compile(r"SUPABASE_(?:SERVICE(?:_ROLE)?|SECRET)_KEY$"), Slot.SERVICE),
    (re.compile(r"SUPABASE_(?:ANON|PUBLISHABLE(?:_DEFAULT)?)_KEY$"), Slot.ANON),
)
# A project's API address, its direct host, or a pooler's user, inside a URL.
_URL_REF = re.compile(r"://(?:[^/@]*@)?(?:db\.)?([a-z]{20})\.supabase\.|://[^:/@.]+\.([a-z]{20})[:@]")


def is_placeholder(value: str) -> bool:
    """Tell whether a value only stands for one that has to be filled in: ``[YOUR-PASSWORD]``, ``...``."""
    return _PLACEHOLDER.fullmatch(value) is not None


def slot_of(name: str) -> Slot | None:
    """Return the slot that an env variable is, by its name; ``NEXT_PUBLIC_`` and ``VITE_`` do not matter."""
    return next((slot for pattern, slot in _SLOT_NAMES if pattern.search(name)), None)


def read_key(key: Secret) -> KeyReading:
    """Read what a key says about itself, without a network and without checking its signature."""
    value = key.reveal().strip()
    for prefix, kind in _OPAQUE:
        if value.startswith(prefix) and not is_placeholder(value):
            return KeyReading(kind)
    claims = _claims(value) if _JWT.fullmatch(value) else None
    if claims is None:
        return KeyReading(KeyKind.PLACEHOLDER if is_placeholder(value) else KeyKind.UNKNOWN)
    return KeyReading(
        kind=_ROLES.get(claims.role or "", KeyKind.OTHER_JWT),
        ref=claims.ref,
        role=claims.role,
        issued=_moment(claims.iat),
        expires=_moment(claims.exp),
    )


def check_key(key: Secret, slot: Slot, ref: str | None, *, now: datetime | None = None) -> list[KeyFinding]:
    """Check a key against the slot it is in and the project it is for; an empty list means nothing is wrong.

    Args:
        key: the value that is in the slot.
        slot: where it is.
        ref: the project it should belong to; ``None`` when that is not known.
        now: the time that expiry is judged by; the clock's by default.
    """
    reading = read_key(key)
    if reading.kind is KeyKind.PLACEHOLDER:
        return [KeyFinding(Fault.PLACEHOLDER, f"The {slot} is still a placeholder.")]
    if reading.kind is KeyKind.UNKNOWN:
        return [KeyFinding(Fault.NOT_A_KEY, f"What is in the place of the {slot} is not a Supabase key.")]
    findings: list[KeyFinding] = []
    if reading.kind not in _FITS[slot]:
        findings.append(KeyFinding(Fault.WRONG_SLOT, _wrong_slot(reading.kind, slot)))
    if ref and reading.ref and reading.ref != ref:
        findings.append(
            KeyFinding(Fault.OTHER_PROJECT, f"The {reading.kind} belongs to project {reading.ref}, not to {ref}.")
        )
    if reading.expires and reading.expires <= (now or datetime.now(UTC)):
        findings.append(KeyFinding(Fault.EXPIRED, f"The {reading.kind} expired on {reading.expires:%Y-%m-%d}."))
    return findings


def check_together(keys: Mapping[str, Secret]) -> list[KeyFinding]:
    """Say when the keys of one file, by the names of their variables, belong to different projects."""
    return _mixed({name: owner for name, key in keys.items() if (owner := read_key(key).ref)})


def check_values(values: Mapping[str, str | None], ref: str | None) -> list[KeyFinding]:
    """Check every key of an env file, by the names of its variables, and whether all that it names is one project.

    Args:
        values: the file's keys and values.
        ref: the project that the file is for; ``None`` when that is not known.
    """
    keys = {name: Secret(value, kind=slot) for name, value in values.items() if (slot := slot_of(name)) and value}
    findings = [
        KeyFinding(found.fault, f"{name}: {found.message}")
        for name, key in keys.items()
        for found in check_key(key, Slot(key.kind), ref)
    ]
    owners = {name: owner for name, key in keys.items() if (owner := read_key(key).ref)}
    owners |= {
        name: found[1] or found[2] for name, value in values.items() if value and (found := _URL_REF.search(value))
    }
    return findings + _mixed(owners)


def read_slot(kind: str) -> Slot | None:
    """Return the slot that a kind of secret is, or ``None`` for a password and the like."""
    return Slot(kind) if kind in tuple(Slot) else None


def _mixed(owners: Mapping[str, str]) -> list[KeyFinding]:
    if len(set(owners.values())) < 2:
        return []
    told = ", ".join(f"{name} to {ref}" for name, ref in owners.items())
    return [KeyFinding(Fault.MIXED_PROJECTS, f"Different projects are named: {told}.")]


def _wrong_slot(kind: KeyKind, slot: Slot) -> str:
    if slot is Slot.ANON and kind in _FITS[Slot.SERVICE]:
        return f"A {kind} is in the place of the {slot}: browsers would get full access to the database."
    return f"A {kind} is in the place of the {slot}."


def _claims(value: str) -> _Claims | None:
    payload = value.split(".")[1]
    try:
        decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(decoded, type=_Claims)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _moment(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
