"""A README gets its section, once, and keeps every other byte."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tekup_migrate.report.readme import BEGIN, END, with_section


@given(st.binary().filter(lambda b: BEGIN.encode() not in b), st.lists(st.sampled_from(["a", "æ", ""])))
def test_the_rest_of_the_file_is_kept_to_the_byte(readme: bytes, lines: list[str]) -> None:
    assert with_section(readme, lines).startswith(readme)


@given(st.binary().filter(lambda b: BEGIN.encode() not in b and END.encode() not in b))
@example(b"\r")
@example(b"a\nb\r")
def test_writing_the_section_again_replaces_it(readme: bytes) -> None:
    once = with_section(readme, ["old"])
    assert with_section(once, ["old"]) == once
    assert with_section(once, ["new"]) == with_section(readme, ["new"])


def test_the_files_own_line_ends_are_used() -> None:
    assert b"\n" not in with_section(b"# Title\r\n", ["a", "b"]).replace(b"\r\n", b"")
