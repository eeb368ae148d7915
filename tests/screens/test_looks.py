"""Snapshots of a few screens at both sizes; ``pytest --snapshot-update`` after a meant change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from screens.dialogs.dialog import Dialog
from screens.final import FinalScreen
from screens.hub import HubScreen
from tekup_migrate.parts import Part
from tekup_migrate.steps import Danger, DiffLine, FileChange, Preview, Step
from tests.screens.scenery import (
    CAREFUL,
    DESTRUCTIVE,
    FailingStep,
    Scenery,
    ScriptedStep,
    every_phase,
    heard,
    shown,
    started,
    until,
)
from tests.screens.sizes import SIZES


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


SnapCompare = Callable[..., bool]


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual paints without colours when the environment says so; a snapshot needs them."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("TEXTUAL_THEME", raising=False)


async def at_hub(pilot: Pilot[int]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, HubScreen) and "Enter starts" in shown(pilot))


async def at_question(pilot: Pilot[int]) -> None:
    await started(pilot)
    await heard(pilot)


async def at_criteria(pilot: Pilot[int]) -> None:
    await at_hub(pilot)
    await pilot.press("c")
    await until(pilot, lambda: isinstance(pilot.app.screen, FinalScreen) and "0 of 2 criteria" in shown(pilot))


async def at_help(pilot: Pilot[int]) -> None:
    await at_hub(pilot)
    await pilot.press("question_mark")
    await until(pilot, lambda: isinstance(pilot.app.screen, Dialog))
    await heard(pilot)


@pytest.mark.parametrize("size", SIZES, ids=named)
def test_the_hub(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert snap_compare(Scenery(tmp_path, every_phase()).app(), terminal_size=size, run_before=at_hub)


@pytest.mark.parametrize("size", SIZES, ids=named)
def test_the_criteria(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert snap_compare(Scenery(tmp_path, every_phase()).app(), terminal_size=size, run_before=at_criteria)


@pytest.mark.parametrize("size", SIZES, ids=named)
def test_the_help(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert snap_compare(Scenery(tmp_path, every_phase()).app(), terminal_size=size, run_before=at_help)


@pytest.mark.parametrize("size", SIZES, ids=named)
def test_a_careful_step(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int]) -> None:
    steps: list[Step] = [ScriptedStep("write", danger=Danger.CAREFUL, preview=CAREFUL)]
    assert snap_compare(Scenery(tmp_path, steps).app(), terminal_size=size, run_before=at_question)


def in_parts(preview: Preview) -> Preview:
    """Return a preview whose file's changed lines are parts: one planned and skipped, one found and documented."""
    parts = (
        Part(id="key", group="f", label="SUPABASE_URL", options=("rewrite", "skip"), choice="skip"),
        Part(id="line", group="f", label="line 9", options=("rewrite", "leave", "document"), choice="document"),
    )
    lines = (
        DiffLine("-", 4, 0, "SUPABASE_URL=https://old-ref.example.com", "key"),
        DiffLine("+", 0, 4, "SUPABASE_URL=https://new-ref.example.com", "key"),
        DiffLine(" ", 5, 5, "OPENAI_API_KEY=unchanged [/]"),
        DiffLine(
            "-", 9, 0, "# Databasen på old-ref er lukket; spørg på https://old-ref.example.com/noget/langt", "line"
        ),
        DiffLine(
            "+", 0, 9, "# Databasen på new-ref er lukket; spørg på https://new-ref.example.com/noget/langt", "line"
        ),
    )
    change = FileChange("~/blåbær [app]/apps/api/.env", lines)
    return msgspec.structs.replace(preview, actions=(preview.actions[0], change), parts=parts)


@pytest.mark.parametrize("size", SIZES, ids=named)
def test_a_step_in_parts(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int]) -> None:
    steps: list[Step] = [ScriptedStep("write", danger=Danger.CAREFUL, preview=in_parts(CAREFUL))]
    assert snap_compare(Scenery(tmp_path, steps).app(), terminal_size=size, run_before=at_question)


@pytest.mark.parametrize("size", SIZES, ids=named)
def test_a_destructive_step(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int]) -> None:
    steps: list[Step] = [ScriptedStep("drop", danger=Danger.DESTRUCTIVE, preview=DESTRUCTIVE)]
    assert snap_compare(Scenery(tmp_path, steps).app(), terminal_size=size, run_before=at_question)


@pytest.mark.parametrize("size", SIZES, ids=named)
def test_trouble(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int]) -> None:
    steps: list[Step] = [FailingStep("connect")]
    assert snap_compare(Scenery(tmp_path, steps).app(), terminal_size=size, run_before=at_question)
