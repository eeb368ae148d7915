"""The AES-256-GCM encryption of a sample app's columns, as a Node app would do it.

A sealed value is ``iv:tag:ciphertext`` in hexadecimal; the key is scrypt over ``ENCRYPTION_KEY`` and
``ENCRYPTION_SALT`` with the parameters that Node's ``crypto.scryptSync`` has by default.
"""

from __future__ import annotations

import functools
import hashlib
import os

_IV_BYTES = 12
_TAG_BYTES = 16


def seal(text: str, *, key: str, salt: str) -> str:
    """Encrypt ``text``; two calls give different results."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    iv = os.urandom(_IV_BYTES)
    sealed = AESGCM(_derived(key, salt)).encrypt(iv, text.encode(), None)
    return f"{iv.hex()}:{sealed[-_TAG_BYTES:].hex()}:{sealed[:-_TAG_BYTES].hex()}"


def unseal(sealed: str, *, key: str, salt: str) -> str:
    """Decrypt what ``seal`` made.

    Raises:
        ValueError: the key or the salt is another, or the value was tampered with.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    iv, tag, ciphertext = (bytes.fromhex(part) for part in sealed.split(":"))
    try:
        return AESGCM(_derived(key, salt)).decrypt(iv, ciphertext + tag, None).decode()
    except InvalidTag:
        raise ValueError("the value was sealed with another key") from None


@functools.lru_cache(maxsize=8)
def _derived(key: str, salt: str) -> bytes:
    return hashlib.scrypt(key.encode(), salt=salt.encode(), n=16384, r=8, p=1, dklen=32, maxmem=64 * 2**20)
