"""What leaves the screen passes the redactor, and who leaves before the run is open leaves in peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from screens.dialogs.choose import ChooseDialog
from tekup_migrate.questions import Option, Question
from tests.screens.scenery import Scenery, ScriptedStep, heard, shown, until

SECRET = "hunter2"  # what the scenery's redactor holds


async def test_a_held_secret_that_is_painted_all_the_same_is_in_no_picture_and_not_in_the_clipboard(
    tmp_path: Path,
) -> None:
    app = Scenery(tmp_path, [ScriptedStep("look", title=f"Look at {SECRET}")]).app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: SECRET in shown(pilot))
        assert SECRET not in app.export_screenshot()
        saved = Path(app.save_screenshot("picture.svg", str(tmp_path)))
        assert SECRET not in saved.read_text(encoding="utf-8")
        app.copy_to_clipboard(f"the password is {SECRET}")
        assert SECRET not in app.clipboard
        assert "the password is ‹password" in app.clipboard


@pytest.mark.parametrize("key", ["enter", "escape", "ctrl+c"])
async def test_a_question_on_the_way_in_can_be_left_open(tmp_path: Path, key: str) -> None:
    question = Question(
        title="Where secrets are kept",
        text="There is no keyring.",
        options=(Option("file", "In a file", ""), Option("memory", "In memory", "")),
        safe="memory",
    )
    scenery = Scenery(tmp_path, [ScriptedStep("look")], first=question)
    app = scenery.app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ChooseDialog))
        await heard(pilot)
        await pilot.press(key)
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == 0
    assert app.farewell.startswith("Nothing was started or changed.")
    assert scenery.sittings == []
