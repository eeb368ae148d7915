"""Filling in the sample world's templates: ``${name}`` and nothing else, and an unknown name is a mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tekup_migrate.errors import MigrationError

_PLACEHOLDER = re.compile(rb"\$\{([^{}\r\n]+)\}")

Lookup = Callable[[str], str]
"""Gives a placeholder's value; raises ``KeyError`` for a name it does not know."""


def fill_in(content: bytes, lookup: Lookup, *, source: Path) -> bytes:
    """Replace every placeholder, keeping each other byte, line ends included.

    Raises:
        MigrationError: a placeholder is unknown; ``source`` names the template.
    """

    def replace(found: re.Match[bytes]) -> bytes:
        """Return the value of one placeholder."""
        name = found.group(1).decode("utf-8")
        try:
            return lookup(name).encode("utf-8")
        except KeyError:
            line = content.count(b"\n", 0, found.start()) + 1
            raise MigrationError(
                "A template of the sample world cannot be filled in",
                happened=f"{source}, line {line}: ${{{name}}} is not known.",
                unchanged="Nothing outside the rehearsal's own directory was touched.",
                remedy="Correct the placeholder in the template.",
            ) from None

    return _PLACEHOLDER.sub(replace, content)


def lay_out(template: Path, destination: Path, lookup: Lookup) -> list[Path]:
    """Write the files under ``template`` to ``destination``, filled in; ``dot_x`` becomes ``.x``.

    Returns the written paths, in order.
    """
    written = []
    for source in sorted(path for path in template.rglob("*") if path.is_file()):
        parts = [_real_name(part) for part in source.relative_to(template).parts]
        place = destination.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(fill_in(source.read_bytes(), lookup, source=source))
        written.append(place)
    return written


def _real_name(part: str) -> str:
    return f".{part.removeprefix('dot_')}" if part.startswith("dot_") else part
