"""The parts of a connection, each beside its name: as dashboards, drivers, env files and command lines give them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping

_NAMES = {
    "host": ("host", "hostname", "host name", "server", "data source"),
    "address": ("hostaddr",),
    "port": ("port",),
    "database": ("database", "database name", "dbname", "db", "db name", "initial catalog"),
    "user": ("user", "username", "user name", "user id", "userid", "uid", "role"),
    "password": ("password", "pwd", "pass"),
    "sslmode": ("sslmode", "ssl mode"),
}
_PART_OF = {name: part for part, names in _NAMES.items() for name in names}
_BEFORE = r"(?:(?:supabase|postgres(?:ql)?|pg|db|database)[ _.-]?)*"
# The longest name first: else "database" would be read where "database name" stands.
_NAME = "|".join(re.escape(name).replace(r"\ ", "[ _-]?") for name in sorted(_PART_OF, key=len, reverse=True))
_KEY = rf"(?<![\w.-])[\"']?{_BEFORE}(?P<name>{_NAME})[\"']?"
_AFTER = rf"(?=[ \t;,]+[\"']?{_BEFORE}(?:{_NAME})[\"']?[ \t]*[=:]"
# A word that another part's name follows is no name: it belongs to the value before.
_AFTER += rf"|;[ \t]*(?:(?![\w.]+[ \t]+{_BEFORE}(?:{_NAME})[ \t]*=)[a-z][\w .]*=|$)|[ \t]+#|$)"
_PART = re.compile(
    rf"{_KEY}(?:[ \t]*[=:][ \t]*|\t+[ \t]*)"
    rf"(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?P<open>.*?){_AFTER})",
    re.IGNORECASE | re.MULTILINE,
)
_ALONE = re.compile(rf"\s*{_KEY}\s*:?\s*", re.IGNORECASE)
_FLAGS = {"-h": "host", "--host": "host", "-p": "port", "--port": "port", "-d": "database", "--dbname": "database"}
_FLAGS |= {"-U": "user", "--username": "user"}
_COMMAND = re.compile(r"(?:^|[\s/\\])(?:psql|pg_dump|pg_dumpall|pg_restore|pg_isready)(?:\.exe)?\s", re.MULTILINE)


def named_parts(text: str) -> Mapping[str, str]:
    """Return ``host``, ``port``, ``database``, ``user``, ``password`` and ``sslmode``, as far as a text names them.

    Read are ``host=… user=…``, ``host: …`` and a table's ``host <tab> …``, a line each or all in one line; labels with
    the value on the next line; and the flags of ``psql`` and its sisters, with ``PGPASSWORD=…`` before them.
    """
    words = _command(text)
    parts = dict(_flags(words))
    lines = words or text.splitlines()
    for part, value in (*_labelled(lines), *_pairs("\n".join(lines))):
        if value:
            parts.setdefault(part, value)
    address = parts.pop("address", "")
    # Beside an address, the host's name is the one that its certificate is for.
    return {"host": address, **parts} if address else parts


def password_places(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the value of a password begins and ends, also while it is still being typed."""
    for found in _PART.finditer(text):
        if _part_of(found["name"]) == "password":
            yield found.span("value")


def _part_of(name: str) -> str:
    spaced = re.sub(r"[ _-]+", " ", name.lower())
    return _PART_OF.get(spaced) or _PART_OF[spaced.replace(" ", "")]


def _value(found: re.Match[str]) -> str:
    """Return what stands beside a name; of all parts only a password can hold spaces without quotes."""
    value = found["value"]
    if found["open"] is None:
        quote = value[0]
        return re.sub(rf"\\([\\{quote}])", r"\1", value[1:-1])
    bare = value.strip().rstrip(",")
    return bare if _part_of(found["name"]) == "password" else re.split(r"[\s,]", bare, maxsplit=1)[0].strip("\"'")


def _labelled(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Read a label on a line of its own, and its value on the next line that is not empty."""
    waiting = ""
    for line in lines:
        alone = _ALONE.fullmatch(line)
        if alone:
            waiting = _part_of(alone["name"])
        elif line.strip():
            if waiting and not _PART.search(line):
                yield waiting, line.strip()
            waiting = ""


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    return ((_part_of(found["name"]), _value(found)) for found in _PART.finditer(text))


def _command(text: str) -> list[str]:
    """Return the words of a command line of ``psql`` or its sisters; none where the text is something else."""
    try:
        return shlex.split(text) if _COMMAND.search(text) else []
    except ValueError:
        return []


def _flags(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Read ``-h HOST -p PORT -d DATABASE -U USER``, also ``-hHOST`` and ``--host=HOST``."""
    name = ""
    for word in words:
        flag, equals, value = word.partition("=")
        if name:
            yield name, word
            name = ""
        elif flag in _FLAGS and equals:
            yield _FLAGS[flag], value
        elif word in _FLAGS:
            name = _FLAGS[word]
        elif word[:2] in _FLAGS and not word.startswith("--"):
            yield _FLAGS[word[:2]], word[2:]
