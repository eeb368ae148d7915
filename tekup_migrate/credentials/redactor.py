"""The one redactor: every text that is painted, logged or written passes through it."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from tekup_migrate.credentials.patterns import Found, secret_forms
from tekup_migrate.credentials.secret import Secret

SHORT = 6
"""Below so many characters a secret is only replaced where it stands alone: else it would eat other words."""

_Trie = dict[str, "_Trie"]


class Redactor:
    """Replaces every held secret, in every form it is known to take, by its mask.

    Forms: as it is; percent-encoded by Python's and by JavaScript's rules; base64 in both alphabets wherever
    it starts inside other text; hex; escaped as in JSON, in a Python literal and in HTML or SVG. What merely
    looks like a secret (see ``patterns``) is masked as well.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._held: dict[str, Secret] = {}
        self._forms: dict[str, Secret] = {}
        self._pattern: re.Pattern[str] | None = None
        self.hold(*secrets)

    def hold(self, *secrets: Secret) -> None:
        """Redact these from now on; an empty secret is not one."""
        new = [secret for secret in secrets if secret.reveal() and secret.reveal() not in self._held]
        for secret in new:
            self._held[secret.reveal()] = secret
            for form in forms_of(secret.reveal()):
                self._forms.setdefault(form, secret)
        if new:
            self._pattern = _compiled(self._forms)

    def redact(self, text: str) -> str:
        """Return the text with every secret replaced by its mask."""
        pieces: list[str] = []
        position = 0
        for found in self.find(text):
            pieces += [text[position : found.start], found.secret.mask]
            position = found.end
        return "".join([*pieces, text[position:]])

    def find(self, text: str) -> Iterator[Found]:
        """Yield where held secrets and what looks like one stand, in order, never overlapping."""
        held = list(self.find_held(text))
        blanked = _blanked(text, held)
        position = 0
        for found in sorted([*held, *secret_forms(blanked)], key=lambda found: (found.start, -found.end)):
            if found.start >= position:
                yield found
                position = found.end

    def find_held(self, text: str) -> Iterator[Found]:
        """Yield where held secrets stand, in whichever form."""
        if self._pattern is None:
            return
        for match in self._pattern.finditer(text):
            yield Found(match.start(), match.end(), self._forms[match[0]])


def forms_of(value: str) -> set[str]:
    """Return the forms that a secret takes when programs write it down."""
    forms = {value, *_percent_encoded(value), *_escaped(value)}
    if len(value) >= SHORT:
        content = value.encode("utf-8", "surrogatepass")
        forms |= {content.hex(), content.hex().upper(), *_base64_forms(content)}
    return {form for form in forms if form == value or len(form) >= min(len(value), SHORT)}


def _percent_encoded(value: str) -> Iterator[str]:
    # encodeURIComponent leaves !'()*~ alone, encodeURI also these: ;,/?:@&=+$#
    content = value.encode("utf-8", "surrogatepass")
    for safe in ("", "/", "!'()*~", "!'()*~;,/?:@&=+$#"):
        encoded = quote(content, safe=safe)
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda escape: escape[0].lower(), encoded)
    yield quote_plus(content)


def _escaped(value: str) -> Iterator[str]:
    for ascii_only in (True, False):
        escaped = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
    yield repr(value)[1:-1]
    for with_quotes in (True, False):
        escaped = html.escape(value, quote=with_quotes)
        yield escaped
        yield escaped.replace(" ", "&#160;")


def _base64_forms(content: bytes) -> Iterator[str]:
    """Yield the characters of base64 that depend on the secret alone, for each way it can be aligned."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + content).decode().rstrip("=")
        first = (0, 2, 3)[offset]
        # The last character also carries bits of what follows, unless the bytes end on a border of three.
        last = len(encoded) - (1 if (offset + len(content)) % 3 else 0)
        steady = encoded[first:last]
        yield steady
        yield steady.replace("+", "-").replace("/", "_")


def _blanked(text: str, held: list[Found]) -> str:
    """Blank what was found, at the same length, so that a pattern does not match across it."""
    pieces: list[str] = []
    position = 0
    for found in held:
        pieces += [text[position : found.start], " " * (found.end - found.start)]
        position = found.end
    return "".join([*pieces, text[position:]])


def _compiled(forms: Iterable[str]) -> re.Pattern[str]:
    """Compile one alternation of all forms that prefers the longest, shared beginnings written once."""
    trie: _Trie = {}
    alone: list[str] = []
    for form in forms:
        if len(form) < SHORT:
            alone.append(form)
            continue
        node = trie
        for char in form:
            node = node.setdefault(char, {})
        node[""] = {}
    branches = [_branch(trie)] if trie else []
    branches += [rf"(?<!\w){re.escape(form)}(?!\w)" for form in sorted(alone, key=len, reverse=True)]
    return re.compile("|".join(branches))


def _branch(node: _Trie) -> str:
    prefix = ""
    while len(node) == 1:
        char, node = next(iter(node.items()))
        if not char:
            return prefix
        prefix += re.escape(char)
    options = [re.escape(char) + _branch(child) for char, child in node.items() if char]
    return f"{prefix}(?:{'|'.join(options)}){'?' if '' in node else ''}"
