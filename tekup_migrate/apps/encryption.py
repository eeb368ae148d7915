"""Proving that an app's encryption keys stayed the same, without ever writing them down.

Rows that were encrypted with one key cannot be read with another. So each key is fingerprinted before
anything is changed, and again whenever it matters.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class KeyFingerprint:
    """What identifies one env key's value within a run: 64 hex digits, or None when the key was not set."""

    file: str
    key: str
    digest: str | None


@dataclass(frozen=True)
class KeyComparison:
    """How the keys stand against an earlier fingerprint, each as (file, key)."""

    same: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]
    appeared: tuple[tuple[str, str], ...]
    unset: tuple[tuple[str, str], ...]

    @property
    def kept(self) -> bool:
        """Whether every key that was set has the value it had, and none was added."""
        return not (self.changed or self.missing or self.appeared)


def new_fingerprint_key() -> bytes:
    """Return 32 random bytes for one run; whoever holds them and a fingerprint can try values."""
    return os.urandom(32)


def fingerprint_keys(
    file: str, values: Mapping[str, str | None], keys: Iterable[str], *, run_key: bytes
) -> tuple[KeyFingerprint, ...]:
    """Fingerprint ``keys`` of an env file whose parsed values are given; an empty value is a value.

    File and key go into the digest, so equal values under two names cannot be told to be equal.
    """
    return tuple(KeyFingerprint(file, key, _digest(file, key, values.get(key), run_key)) for key in keys)


def compare_keys(before: Iterable[KeyFingerprint], after: Iterable[KeyFingerprint]) -> KeyComparison:
    """Compare fingerprints taken with the same run key; a key that is not in ``after`` is missing."""
    now = {(each.file, each.key): each.digest for each in after}
    verdicts: dict[str, list[tuple[str, str]]] = {
        name: [] for name in ("same", "changed", "missing", "appeared", "unset")
    }
    for each in before:
        verdicts[_verdict(each.digest, now.get((each.file, each.key)))].append((each.file, each.key))
    return KeyComparison(**{name: tuple(found) for name, found in verdicts.items()})


def _verdict(before: str | None, after: str | None) -> str:
    if before is None:
        return "unset" if after is None else "appeared"
    if after is None:
        return "missing"
    import hmac

    return "same" if hmac.compare_digest(before, after) else "changed"


def _digest(file: str, key: str, value: str | None, run_key: bytes) -> str | None:
    if value is None:
        return None
    import hashlib
    import hmac

    message = "\0".join((file, key, value)).encode("utf-8", "surrogatepass")
    return hmac.new(run_key, message, hashlib.sha256).hexdigest()
