"""What leaves the screen, as a picture or by the clipboard, passes the redactor."""

from __future__ import annotations

from pathlib import Path

from tests.screens.scenery import Scenery, ScriptedStep, shown, until

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
