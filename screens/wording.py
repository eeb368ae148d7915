"""Turns amounts, times and foreign text into what is painted; knows nothing of widgets."""

from __future__ import annotations

import re

from rich.cells import cell_len, set_cell_size

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STEPS = "▁▂▃▄▅▆▇█"
_BYTES_PER_UNIT = 1000.0


def plain(text: str) -> str:
    """Return ``text`` fit for painting: no control characters or escape sequences, tabs as spaces."""
    return _CONTROL.sub("", text.replace("\r\n", "\n")).expandtabs(4)


def one_line(text: str) -> str:
    """Return ``text`` fit for painting, on one line."""
    return " ".join(plain(text).split())


def fitted(text: str, cells: int) -> str:
    """Return ``text`` padded to exactly ``cells`` columns, cut with an ellipsis where it is longer."""
    if cells <= 0:
        return ""
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    return set_cell_size(text, cells - 1) + "…"


def clock(seconds: float) -> str:
    """Return hours and minutes, ``1:02``."""
    minutes = int(seconds) // 60
    return f"{minutes // 60}:{minutes % 60:02}"


def lasted(seconds: float) -> str:
    """Return a short duration: ``0.4 s``, ``42 s``, ``3 min 05 s``, ``1 h 02 min``."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def count(number: float) -> str:
    """Return a number with a narrow gap between thousands: ``86 000``."""
    return f"{number:,.0f}".replace(",", " ")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 step``, ``2 steps``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def amount(number: float, unit: str) -> str:
    """Return a number with its unit; bytes as kB, MB, GB."""
    if unit != "bytes":
        return f"{count(number)} {unit}".strip()
    for name in ("bytes", "kB", "MB", "GB"):
        if number < _BYTES_PER_UNIT or name == "GB":
            return f"{number:.0f} {name}" if name == "bytes" else f"{number:.1f} {name}"
        number /= _BYTES_PER_UNIT
    raise AssertionError("unreachable: GB ends the loop")


def bar(fraction: float, cells: int) -> str:
    """Return a bar of ``cells`` columns, filled to ``fraction`` (0 to 1)."""
    full = round(max(0.0, min(1.0, fraction)) * cells)
    return "█" * full + "░" * (cells - full)


def sparkline(values: tuple[float, ...]) -> str:
    """Return one column per value, the highest reaching the top."""
    most = max(values, default=0.0)
    if most <= 0:
        return _STEPS[0] * len(values)
    return "".join(_STEPS[round(value / most * (len(_STEPS) - 1))] for value in values)
