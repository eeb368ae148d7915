"""The dialog in which every part of a preview is accepted, skipped, left or documented, and one value revealed."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import Selection

from screens.dialogs.accept import AcceptDialog
from screens.widgets import revealed
from screens.widgets.revealed import Revealed
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.journal import JOURNAL
from tekup_migrate.parts import DOCUMENT, LEAVE, REWRITE, SKIP, Choices, Part
from tekup_migrate.steps import Context, Danger, DiffLine, FileChange, Preview
from tests.phases.env_world import EnvWorld
from tests.screens.scenery import CAREFUL, Scenery, ScriptedStep, heard, shown, started, until
from tests.screens.sizes import SMALL_FIRST

OLD, NEW = (Secret(secrets.token_hex(40), kind="service key", project=ref) for ref in ("oldref", "newref"))
ENV, DOCS = "~/blåbær [app]/.env", "~/blåbær [app]/" + "a long folder/" * 8 + "SETUP [1].md"


def part(name: str, group: str, options: tuple[str, ...], choice: str, why: str = "") -> Part:
    return Part(id=f"{group}:{name}", group=group, label=name, options=options, choice=choice, why=why)


PARTS = (
    part("SUPABASE_URL", ENV, (REWRITE, SKIP), REWRITE),
    part("SERVICE_KEY", ENV, (REWRITE, SKIP), REWRITE),
    part("line 9", DOCS, (REWRITE, LEAVE, DOCUMENT), DOCUMENT),
    part("line 40", DOCS, (LEAVE, DOCUMENT), DOCUMENT, "it holds a key"),
)
LINES = (
    DiffLine("-", 4, 0, "SUPABASE_URL=https://old-ref.example.com", PARTS[0].id),
    DiffLine("+", 0, 4, "SUPABASE_URL=https://new-ref.example.com", PARTS[0].id),
    DiffLine("-", 5, 0, f"SERVICE_KEY={OLD.mask}", PARTS[1].id),
    DiffLine("+", 0, 5, f"SERVICE_KEY={NEW.mask}", PARTS[1].id),
)
MENTIONS = (
    DiffLine("-", 9, 0, "Databasen er `old-ref` [/]", PARTS[2].id),
    DiffLine("+", 0, 9, "Databasen er `new-ref` [/]", PARTS[2].id),
    DiffLine(" ", 40, 40, f"nøgle {OLD.mask}", PARTS[3].id),
)
PREVIEW = msgspec.structs.replace(
    CAREFUL, actions=(FileChange(ENV, LINES), FileChange(DOCS, MENTIONS)), parts=PARTS, verb="Write what is accepted"
)


class PartStep(ScriptedStep):
    """A step that notes what was chosen for its parts."""

    def __init__(self, preview: Preview = PREVIEW) -> None:
        super().__init__("change", danger=Danger.CAREFUL)
        self.chosen: Choices = {}
        self._shown = preview

    async def preview(self, context: Context) -> Preview:
        return self._shown.choosing(self.chosen)

    def settle(self, context: Context, choices: Choices) -> None:
        self.chosen = dict(choices)

    def behind(self, part: str) -> tuple[Secret, ...]:
        return (OLD, NEW) if part == PARTS[1].id else ()


@asynccontextmanager
async def asked(
    folder: Path, size: tuple[int, int] = (120, 40), preview: Preview = PREVIEW
) -> AsyncIterator[tuple[Pilot[int], PartStep]]:
    step = PartStep(preview)
    async with Scenery(folder, (step,)).app().run_test(size=size) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(pilot.app.screen, AcceptDialog))
        await heard(pilot)
        yield pilot, step


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_each_part_shows_its_choice_and_one_key_writes_all_that_is_accepted(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with asked(tmp_path, size) as (pilot, step):
        text = shown(pilot)
        assert "▶ ✓ rewrite  SUPABASE_URL" in text
        await pilot.press("down", "space", "down", "space", "down")
        await until(pilot, lambda: "document  line 40  (it holds a key)" in shown(pilot))
        text = shown(pilot)
        assert "2 rewrite · 1 skip · 1 document" in text
        assert "[ Cancel ]" in text
        assert "SETUP [1].md" in text.replace("\n", "")
        await pilot.press("y")
        await until(pilot, lambda: step.done)
    assert [step.chosen[part.id] for part in PARTS] == [REWRITE, SKIP, REWRITE, DOCUMENT]


async def test_of_a_file_that_was_edited_since_the_choice_is_in_sight_on_a_small_terminal(tmp_path: Path) -> None:
    world = EnvWorld(tmp_path)
    path = world.write(".env", world.env("A=1\nB=2"), tracked=False)
    await world.run()
    path.write_bytes(path.read_bytes().replace(b"B=2", b"B=3"))
    preview = await world.step.preview_revert(world.context())
    world.journal.close()
    async with asked(tmp_path / "wizard", (80, 24), preview) as (pilot, step):
        assert "▶ ◆ keep it as it is now  .env" in shown(pilot)
        await pilot.press("pagedown", "pagedown", "space")
        await until(pilot, lambda: "▶ ◆ put the former bytes back  .env" in shown(pilot))
        await pilot.press("y")
        await until(pilot, lambda: step.done)
    assert list(step.chosen.values()) == ["put the former bytes back"]


async def test_a_choice_is_made_for_a_whole_file_where_it_can_be(tmp_path: Path) -> None:
    async with asked(tmp_path) as (pilot, step):
        await pilot.press("f", "down", "down", "f", "f")
        await pilot.press("y")
        await until(pilot, lambda: step.done)
    assert [step.chosen[part.id] for part in PARTS] == [SKIP, SKIP, LEAVE, LEAVE]


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_a_value_is_shown_only_while_its_key_is_held(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked(tmp_path, size) as (pilot, _):
        await pilot.press("r")
        await until(pilot, lambda: "has no value" in shown(pilot))
        await pilot.press("down")
        for key, value, other in (("r", NEW, OLD), ("R", OLD, NEW)):
            monkeypatch.setattr(revealed, "HELD_SECONDS", 60.0)
            await pilot.press(key)
            await until(pilot, lambda value=value: _whole(value, pilot))
            assert not _whole(other, pilot)
            assert "[ Cancel ]" in shown(pilot)
            monkeypatch.setattr(revealed, "HELD_SECONDS", 0.05)
            await pilot.press(key)
            await until(pilot, lambda value=value: not _whole(value, pilot))
        monkeypatch.setattr(revealed, "HELD_SECONDS", 60.0)
        await pilot.press("r", "down")
        await pilot.pause(0.05)
        assert not _whole(NEW, pilot)


async def test_a_revealed_value_is_in_no_picture_no_clipboard_and_no_journal(tmp_path: Path) -> None:
    async with asked(tmp_path) as (pilot, step):
        await pilot.press("down", "r")
        await until(pilot, lambda: _whole(NEW, pilot))
        widget = pilot.app.screen.query_one(Revealed)
        pilot.app.screen.selections = {widget: Selection(Offset(0, 0), None)}
        assert not widget.allow_select
        picture = pilot.app.export_screenshot()
        assert NEW.reveal()[:12] not in picture
        assert "SERVICE_KEY" in picture
        await pilot.press("y")
        await until(pilot, lambda: step.done)
    for file in tmp_path.glob(f"{JOURNAL}*"):
        assert NEW.reveal().encode() not in file.read_bytes()


def _whole(value: Secret, pilot: Pilot[int]) -> bool:
    """Whether all of a value is painted, over as many lines as it takes."""
    painted = "".join(line.strip(" │╭╮╯╰") for line in shown(pilot).splitlines())
    return value.reveal() in painted
