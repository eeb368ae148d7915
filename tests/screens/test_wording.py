"""Amounts, times and foreign text as they are painted."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from screens import wording


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.44, "0.4 s"), (42.4, "42 s"), (185, "3 min 05 s"), (3720, "1 h 02 min"), (3, "3 s")]
)
def test_a_duration_is_short(seconds: float, shown: str) -> None:
    assert wording.lasted(seconds) == shown


@pytest.mark.parametrize(
    ("number", "unit", "shown"),
    [
        (86000, "rows", "86 000 rows"),
        (999, "bytes", "999 bytes"),
        (4_700_000, "bytes", "4.7 MB"),
        (0, "bytes", "0 bytes"),
    ],
)
def test_an_amount_has_its_unit(number: float, unit: str, shown: str) -> None:
    assert wording.amount(number, unit) == shown


@pytest.mark.parametrize("text", ["漢字漢字漢字", "Ærø [/]", "", "a" * 50])
@pytest.mark.parametrize("cells", [1, 2, 5, 12])
def test_fitted_text_is_exactly_as_wide_as_its_place(text: str, cells: int) -> None:
    assert cell_len(wording.fitted(text, cells)) == cells


def test_plain_text_keeps_letters_and_brackets_and_drops_what_steers_a_terminal() -> None:
    assert wording.plain("\x1b]2;title\x07æøå [/red] 漢\x1b[2J\x00\x9b\tx") == "æøå [/red] 漢    x"


def test_a_bar_is_as_long_as_asked_whatever_the_fraction() -> None:
    assert [len(wording.bar(fraction, 10)) for fraction in (-1.0, 0.0, 0.33, 1.0, 7.0)] == [10] * 5
