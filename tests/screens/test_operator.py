"""The operator's other questions: to attest, to choose, and to give a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import Paste

from screens.conductor import Stance
from screens.dialogs.ask_secret import SecretDialog
from screens.dialogs.attest import AttestDialog
from screens.dialogs.choose import ChooseDialog
from screens.dialogs.line import LineDialog
from screens.dialogs.reason import ReasonDialog
from tekup_migrate.questions import Option, Question
from tests.screens.scenery import AttestStep, ChoiceStep, LineStep, Scenery, SecretStep, heard, shown, started, until
from tests.screens.sizes import SMALL_FIRST


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_manual_work_is_shown_with_its_address_and_attested_by_y(tmp_path: Path, size: tuple[int, int]) -> None:
    step = AttestStep("writers")
    app = Scenery(tmp_path, [step]).app()
    opened: list[str] = []
    app.open_url = lambda url, *, new_tab=True: opened.append(url)  # type: ignore[method-assign]  # noqa: PLW0108
    async with app.run_test(size=size) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(app.screen, AttestDialog))
        await heard(pilot)
        await until(pilot, lambda: "◆ asking" in shown(pilot))
        assert "Stop the worker." in shown(pilot)
        assert "https://example.com/x" in shown(pilot)
        await pilot.press("o")
        await pilot.press("y")
        await until(pilot, lambda: step.answer == "proceed")
        assert opened == ["https://example.com/x"]


async def test_manual_work_is_skipped_with_a_reason(tmp_path: Path) -> None:
    step = AttestStep("writers")
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await started(pilot)
        await heard(pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ReasonDialog))
        await heard(pilot)
        await pilot.press(*"no worker", "enter")
        await until(pilot, lambda: step.answer == "skip no worker")


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_a_choice_shows_every_consequence_and_is_taken_by_number(tmp_path: Path, size: tuple[int, int]) -> None:
    step = ChoiceStep("both")
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=size) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(app.screen, ChooseDialog))
        await heard(pilot)
        text = shown(pilot)
        for part in ("id 4, 5 and [/]", "Source wins", "are overwritten", "Keep target", "are left out"):
            assert part in text
        await pilot.press("9", "0")
        await pilot.press("1")
        await until(pilot, lambda: step.answer == "source")


async def test_the_tenth_option_is_taken_by_0_and_those_after_it_by_tab_or_mouse_only(tmp_path: Path) -> None:
    app = Scenery(tmp_path, []).app()
    taken: list[str | None] = []
    options = tuple(Option(f"id {n}", f"option {n}") for n in range(1, 12))
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(ChooseDialog(Question(title="Which?", text="", options=options, safe="id 1")), taken.append)
        await until(pilot, lambda: isinstance(app.screen, ChooseDialog))
        await heard(pilot)
        text = shown(pilot)
        assert "0  option 10" in text
        assert "[ option 11 ]" in text
        await pilot.press("0")
        await until(pilot, lambda: taken == ["id 10"])


async def test_a_choice_put_off_pauses_the_run(tmp_path: Path) -> None:
    step = ChoiceStep("both")
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await heard(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.desk.conductor.stance is Stance.RESTING)
        assert step.answer == ""
        assert "paused" in shown(pilot)


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_a_line_is_typed_and_an_empty_one_is_none(tmp_path: Path, size: tuple[int, int]) -> None:
    step = LineStep("rename")
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=size) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        await heard(pilot)
        assert "index notes[/] be called?" in shown(pilot)
        assert "[/] is taken." in shown(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "Type it first" in shown(pilot))
        assert step.answer == "nothing asked"
        await pilot.press(*"my name", "enter")
        await until(pilot, lambda: step.answer == "my name")


async def test_going_back_from_a_line_types_nothing(tmp_path: Path) -> None:
    step = LineStep("rename")
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        await heard(pilot)
        await pilot.press(*"half", "escape")
        await until(pilot, lambda: step.answer == "")


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_a_secret_is_pasted_and_never_painted(tmp_path: Path, size: tuple[int, int]) -> None:
    step = SecretStep("connect")
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=size) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(app.screen, SecretDialog))
        await heard(pilot)
        assert "Old [north] · old-ref" in shown(pilot)
        app.post_message(Paste("sesame-open\n"))
        await pilot.pause(0.1)
        await pilot.press("ctrl+a", "ctrl+x", "end")
        assert "•••" in shown(pilot)
        assert "sesame" not in shown(pilot)
        assert "sesame" not in app.export_screenshot()
        assert app.clipboard == ""
        await pilot.press("enter")
        await until(pilot, lambda: step.done)
        assert step.answer is not None
        assert step.answer.reveal() == "sesame-open"
        assert step.answer.kind == "database password"


async def test_a_secret_that_is_not_there_now_is_none(tmp_path: Path) -> None:
    step = SecretStep("connect")
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await started(pilot)
        await heard(pilot)
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert "Nothing was typed." in shown(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: step.done)
        assert step.answer is None
