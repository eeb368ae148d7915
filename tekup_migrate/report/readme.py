"""The section that an app's README gets: where its data now lives. Everything else is kept to the byte."""

from __future__ import annotations

import re
from collections.abc import Sequence

BEGIN = "<!-- supabase-project: begin -->"
END = "<!-- supabase-project: end -->"


def with_section(readme: bytes, lines: Sequence[str]) -> bytes:
    """Return a README with the section put in, or replaced where it is already.

    The line ends are those of the file's first line, and bytes outside the section are untouched, whatever their
    encoding.
    """
    first = re.search(rb"\r\n|\n|\r", readme)
    newline = first.group() if first is not None else b"\n"
    section = newline.join(line.encode("utf-8") for line in (BEGIN, *lines, END))
    start = readme.find(BEGIN.encode())
    stop = readme.find(END.encode(), start)
    if start >= 0 and stop >= 0:
        return readme[:start] + section + readme[stop + len(END) :]
    gap = b""
    if readme and not readme.endswith(newline):
        gap = newline
    if readme:
        gap += newline
    return readme + gap + section + newline
