"""What programs print, made fit for a screen."""

from __future__ import annotations

import pytest

from tekup_migrate.apps.lines import LINE_LIMIT, LineSplitter, clean_line


def split(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return lines + splitter.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_do_not_depend_on_how_the_bytes_arrive(size: int) -> None:
    text = "ærlig\r\n50 %\r100 %\n\n\x1b[32mgrøn\x1b[0m\nrest".encode()
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    assert split(*chunks) == ["ærlig", "50 %", "100 %", "", "grøn", "rest"]


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert split(b"caf\xe9\nok\xc3") == ["caf\ufffd", "ok\ufffd"]


@pytest.mark.parametrize(
    "painted",
    [
        "\x1b[1;31mx\x1b[0m",
        "\x1b]0;title\x07x",
        "\x1b]8;;http://a\x1b\\x\x1b]8;;\x1b\\",
        "\x1b(Bx",
        "x\x1b[2K",
        "\x00x\x7f",
    ],
)
def test_escape_sequences_and_control_characters_are_removed(painted: str) -> None:
    assert clean_line(painted) == "x"


def test_a_line_without_end_is_cut_and_memory_stays_bounded() -> None:
    splitter = LineSplitter()
    for _ in range(200):
        assert splitter.feed(b"x" * 10_000) == []
    assert len(splitter._rest) < 20_000
    assert splitter.feed(b"\nnext\n") == ["x" * (LINE_LIMIT - 1) + "…", "next"]
