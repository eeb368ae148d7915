"""A value that must never be painted, logged or written."""

from __future__ import annotations

import hashlib
import hmac
import os

_SALT = os.urandom(16)


class Secret:
    """A password or key that shows only its mask; ``reveal`` is the one way to the value.

    ``kind`` and ``project`` are what may be painted ("service key of oaevag…"). Two different values have
    different fingerprints within one process, and fingerprints of two processes cannot be compared. Pickled,
    it is the text of its mask; copied, it is itself; compared, it equals only a Secret of the same value.
    """

    __slots__ = ("_value", "kind", "project")

    def __init__(self, value: str, *, kind: str, project: str = "") -> None:
        self._value = value
        self.kind = kind
        self.project = project

    @property
    def _bytes(self) -> bytes:
        """The value's bytes, also where it came from a file that is not UTF-8."""
        return self._value.encode("utf-8", "surrogatepass")

    def reveal(self) -> str:
        """Return the value itself; every call is a place to be read twice."""
        return self._value

    @property
    def fingerprint(self) -> str:
        """Four hex digits of a salted hash: tells two secrets apart, tells nothing about either."""
        return hmac.new(_SALT, self._bytes, hashlib.sha256).hexdigest()[:4]

    @property
    def mask(self) -> str:
        """What may be painted: the kind, the project and the fingerprint."""
        owner = f" of {self.project[:6]}…" if self.project else ""
        return f"‹{self.kind}{owner}, {self.fingerprint}›"

    def __repr__(self) -> str:
        return self.mask

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.mask, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._bytes, other._bytes)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # What is pickled ends up in a file or another process: only the mask may.
        return (str, (self.mask,))
