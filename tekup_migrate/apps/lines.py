"""Turning the bytes a program prints into lines fit for a screen."""

from __future__ import annotations

import codecs
import re

LINE_LIMIT = 2_000
"""Characters of one line that are kept."""

_RAW_LIMIT = 4 * LINE_LIMIT
# ECMA-48: CSI sequences, string sequences (OSC, DCS, …) up to their terminator, two-character escapes.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAKS = re.compile(r"\r\n|\n|\r(?!$)")


def clean_line(text: str) -> str:
    """Return one line without escape sequences and control characters, cut at ``LINE_LIMIT`` characters."""
    plain = _CONTROLS.sub("", _ESCAPES.sub("", text))
    return plain if len(plain) <= LINE_LIMIT else plain[: LINE_LIMIT - 1] + "…"


class LineSplitter:
    """Cuts a stream of UTF-8 bytes into cleaned lines; memory stays bounded whatever the program prints.

    A lone carriage return ends a line as well, as progress bars use it.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, chunk: bytes) -> list[str]:
        """Take the next bytes and return the lines that are now complete."""
        pieces = _BREAKS.split(self._rest + self._decoder.decode(chunk))
        rest = pieces.pop()
        # A trailing "\r" may be half of "\r\n", so it stays at the end of what is kept.
        tail = "\r" if rest.endswith("\r") else ""
        self._rest = rest if len(rest) <= _RAW_LIMIT else rest[:_RAW_LIMIT] + tail
        return [clean_line(piece) for piece in pieces]

    def finish(self) -> list[str]:
        """Return what was printed after the last line end, if anything."""
        rest = (self._rest + self._decoder.decode(b"", final=True)).removesuffix("\r")
        self._rest = ""
        return [clean_line(rest)] if rest else []
