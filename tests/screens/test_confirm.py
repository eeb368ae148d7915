"""The dialog before careful and destructive steps, in a real run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from textual._xterm_parser import XTermParser
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from screens.dialogs import dialog
from screens.dialogs.confirm import ConfirmDialog, capital_letter
from screens.dialogs.dialog import Dialog
from screens.dialogs.reason import ReasonDialog
from screens.typing import BURST_SECONDS
from screens.widgets.key_bar import KeyHint
from tekup_migrate.events import StepState
from tekup_migrate.steps import Command, Danger, Preview, Remark, Sql, Step
from tests.screens.scenery import CAREFUL, DESTRUCTIVE, Scenery, ScriptedStep, heard, shown, started, until
from tests.screens.sizes import LARGE, SIZES, SMALL_FIRST


@dataclass
class Asked:
    """A wizard that is asking about one step."""

    pilot: Pilot[int]
    step: ScriptedStep
    scenery: Scenery

    @property
    def status(self) -> tuple[StepState, str]:
        status = self.scenery.sittings[0].runner.status()[0]
        return status.state, status.reason


@asynccontextmanager
async def asked(
    folder: Path, preview: Preview, danger: Danger, *, size: tuple[int, int] = (120, 40), ready: bool = True
) -> AsyncIterator[Asked]:
    step = ScriptedStep("change", danger=danger, preview=preview)
    steps: Sequence[Step] = (step, ScriptedStep("after", phase="ledger"))
    scenery = Scenery(folder, steps)
    async with scenery.app().run_test(size=size) as pilot:
        await started(pilot)
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await until(pilot, lambda: pilot.app.screen.query("#choice-proceed"))
        if ready:
            await heard(pilot)
        yield Asked(pilot, step, scenery)


async def test_a_careful_step_goes_ahead_on_y(tmp_path: Path) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL) as wizard:
        await wizard.pilot.press("y")
        await until(wizard.pilot, lambda: wizard.step.done)


async def test_the_keys_of_the_screen_beneath_are_not_shown_until_it_is_in_front_again(tmp_path: Path) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL) as wizard:
        beneath = wizard.pilot.app.screen_stack[-2]
        assert not any(hint.visible for hint in beneath.query(KeyHint))
        await wizard.pilot.press("escape")
        await until(wizard.pilot, lambda: wizard.pilot.app.screen is beneath)
        await until(wizard.pilot, lambda: all(hint.visible for hint in beneath.query(KeyHint)))


async def test_a_key_that_comes_again_before_the_dialog_is_gone_answers_once(tmp_path: Path) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL) as wizard:
        for _ in range(3):
            wizard.pilot.app.screen.post_message(Key("y", "y"))
        await until(wizard.pilot, lambda: wizard.step.done)
        assert wizard.step.applied == 1


@pytest.mark.parametrize("size", SIZES)
async def test_the_preview_is_painted_exactly(tmp_path: Path, size: tuple[int, int]) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL, size=size) as wizard:
        text = shown(wizard.pilot)
        await wizard.pilot.press("pagedown", "pagedown")
        await wizard.pilot.pause(0.1)
        text += shown(wizard.pilot)
        beside = [line for line in text.splitlines() if "old-ref.example" in line and "new-ref.example" in line]
        order = [text.find(part) for part in ("# OLD (north)", "https://old-ref", "https://new-ref", "OPENAI_API_KEY")]
        assert order == sorted(order)
        assert bool(beside) == (size == LARGE), "side by side where there is room"
        for part in (
            "- 4  " if beside else "- 4   SUPABASE_URL=https://old-ref.example.com",
            "+ 4  " if beside else "+ 4   SUPABASE_URL=https://new-ref.example.com",
            "SUPABASE_URL=https://old-ref.example.com",
            "SUPABASE_URL=https://new-ref.example.com",
            " 5  OPENAI_API_KEY=unchanged" if beside else " 5   OPENAI_API_KEY=unchanged",
            'ADD COLUMN "[/]" text',
            "$ pnpm run 'build it'",
            "command in ~/notes/apps/api",
            "https://example.com/dashboard",
            "Target  ~/notes/.env and ~/notes/apps/api/.env",
            "Undo    the two files as they are now",
            "! The file is tracked by git [/].",
            "[ Cancel ]",
            "y  Rewrite 2 files",
            "s  Skip, with a reason",
            "careful · can be undone",
        ):
            assert part in text


async def test_the_focus_is_on_cancel_and_enter_declines(tmp_path: Path) -> None:
    async with asked(tmp_path, DESTRUCTIVE, Danger.DESTRUCTIVE) as wizard:
        assert wizard.pilot.app.focused is not None
        assert wizard.pilot.app.focused.id == "choice-cancel"
        await wizard.pilot.press("enter")
        await until(wizard.pilot, lambda: not isinstance(wizard.pilot.app.screen, Dialog))
        assert wizard.step.applied == 0


async def test_enter_destroys_nothing_wherever_the_focus_is_moved(tmp_path: Path) -> None:
    async with asked(tmp_path, DESTRUCTIVE, Danger.DESTRUCTIVE) as wizard:
        for _ in range(6):
            await wizard.pilot.press("tab")
            focused = wizard.pilot.app.focused
            assert focused is None or focused.id != "choice-proceed"
        await wizard.pilot.press("d", "y", "Y", "space")
        await wizard.pilot.pause(0.1)
        assert wizard.step.applied == 0


async def test_a_destructive_step_goes_ahead_on_its_own_capital_letter(tmp_path: Path) -> None:
    async with asked(tmp_path, DESTRUCTIVE, Danger.DESTRUCTIVE) as wizard:
        await wizard.pilot.press("d")
        await wizard.pilot.pause(0.1)
        assert "Hold Shift" in shown(wizard.pilot)
        await wizard.pilot.press("D")
        await until(wizard.pilot, lambda: wizard.step.done)


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> float:
    """A longer deaf time, so that a loaded machine does not turn a key typed ahead into a late one."""
    seconds = 2.5
    monkeypatch.setattr(dialog, "DEAF_SECONDS", seconds)
    return seconds


def test_a_dialog_is_deaf_for_400_ms() -> None:
    assert dialog.DEAF_SECONDS == 0.4


async def test_keys_typed_ahead_are_thrown_away(tmp_path: Path, slow_machine: float) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL, ready=False) as wizard:
        await wizard.pilot.press("y", "y", "enter", "s", "escape")
        assert isinstance(wizard.pilot.app.screen, ConfirmDialog)
        await asyncio.sleep(slow_machine)
        await heard(wizard.pilot)
        assert wizard.step.applied == 0
        assert isinstance(wizard.pilot.app.screen, ConfirmDialog)


async def test_the_letters_of_a_paste_that_arrives_as_keys_decide_nothing(tmp_path: Path) -> None:
    async with asked(tmp_path, DESTRUCTIVE, Danger.DESTRUCTIVE) as wizard:
        # A terminal that lets an escape byte through in a paste makes the parser take the rest for keys.
        for event in XTermParser().feed("\x1b[200~old\x1b[31m y s D\x1b[201~"):
            wizard.pilot.app.post_message(event)
        await wizard.pilot.pause()
        assert isinstance(wizard.pilot.app.screen, ConfirmDialog)
        assert (wizard.step.applied, wizard.status) == (0, (StepState.WAITING, ""))
        await asyncio.sleep(BURST_SECONDS)
        await wizard.pilot.press("D")
        await until(wizard.pilot, lambda: wizard.step.done)


async def test_a_click_in_the_deaf_time_does_nothing_and_a_later_one_counts(
    tmp_path: Path, slow_machine: float
) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL, ready=False) as wizard:
        await wizard.pilot.click("#choice-proceed")
        assert isinstance(wizard.pilot.app.screen, ConfirmDialog)
        await heard(wizard.pilot)
        await wizard.pilot.click("#choice-proceed")
        await until(wizard.pilot, lambda: wizard.step.done)


async def test_a_dialog_is_deaf_again_when_the_help_over_it_closes(tmp_path: Path, slow_machine: float) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL) as wizard:
        await wizard.pilot.press("question_mark")
        await heard(wizard.pilot)
        assert "Rewrite 2 files" in shown(wizard.pilot)
        await wizard.pilot.press("escape")
        await wizard.pilot.press("y")
        await wizard.pilot.pause(0.05)
        assert isinstance(wizard.pilot.app.screen, ConfirmDialog)
        assert wizard.step.applied == 0


async def test_help_over_a_dialog_stands_alone_and_what_was_half_typed_goes_on(tmp_path: Path) -> None:
    preview = msgspec.structs.replace(DESTRUCTIVE, typed_name="old_notes")
    async with asked(tmp_path, preview, Danger.DESTRUCTIVE) as wizard:
        pilot = wizard.pilot
        while not isinstance(pilot.app.focused, Input):
            await pilot.press("tab")
        await pilot.press(*"old")
        await pilot.press("f1")
        await heard(pilot)
        # The dialog is larger than its help: its frame would stick out.
        assert "type the name" not in shown(pilot).lower()
        await pilot.press("escape")
        await heard(pilot)
        await pilot.press(*"_no")
        assert pilot.app.screen.query_one(Input).value == "old_no"


async def test_a_skip_needs_a_reason(tmp_path: Path) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL) as wizard:
        await wizard.pilot.press("s")
        await until(wizard.pilot, lambda: isinstance(wizard.pilot.app.screen, ReasonDialog))
        await heard(wizard.pilot)
        await wizard.pilot.press("enter", "space", "enter")
        await wizard.pilot.pause(0.1)
        assert isinstance(wizard.pilot.app.screen, ReasonDialog)
        assert "A skip needs a reason." in shown(wizard.pilot)
        await wizard.pilot.press(*"later", "enter")
        await until(wizard.pilot, lambda: wizard.status == (StepState.SKIPPED, "later"))
        assert wizard.step.applied == 0


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_where_rows_would_be_lost_the_name_is_typed_too(tmp_path: Path, size: tuple[int, int]) -> None:
    preview = msgspec.structs.replace(DESTRUCTIVE, typed_name="old_notes[/]")
    async with asked(tmp_path, preview, Danger.DESTRUCTIVE, size=size) as wizard:
        pilot = wizard.pilot
        await pilot.press("D")
        await pilot.pause(0.1)
        assert wizard.step.applied == 0
        assert "Type the name old_notes[/] first" in shown(pilot)
        await pilot.press("tab")
        while not isinstance(pilot.app.focused, Input):
            await pilot.press("tab")
        await pilot.press(*"old_notes[/", "enter")
        await pilot.press("D")
        assert wizard.step.applied == 0
        pilot.app.screen.query_one(Input).value = "old_notes[/]"
        await pilot.press("D")
        await until(pilot, lambda: wizard.step.done)


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_what_carries_the_decision_stays_in_sight_however_long_the_preview(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    lost = tuple(f"table old_{number} [/], {number} rows" for number in range(200))
    sql = Sql("SELECT 'x'\n" * 300, "database notes")
    preview = msgspec.structs.replace(DESTRUCTIVE, destroys=lost, actions=(sql,), typed_name="notes")
    async with asked(tmp_path, preview, Danger.DESTRUCTIVE, size=size) as wizard:
        text = shown(wizard.pilot)
        for part in ("Target  database notes", "Undo    pg_restore", "[ Cancel ]", "D  Drop 3 tables", "more lines"):
            assert part in text
        assert "table old_0 [/], 0 rows" in text
        for _ in range(60):
            await wizard.pilot.press("pagedown")
        await wizard.pilot.pause(0.1)
        assert "SELECT 'x'" in shown(wizard.pilot)


async def test_nothing_is_decided_while_the_terminal_is_too_small_to_show_it(tmp_path: Path) -> None:
    async with asked(tmp_path, CAREFUL, Danger.CAREFUL) as wizard:
        await wizard.pilot.resize_terminal(60, 12)
        await wizard.pilot.pause(0.1)
        assert "80 × 24" in shown(wizard.pilot)
        await wizard.pilot.press("y")
        await wizard.pilot.pause(0.1)
        assert wizard.step.applied == 0
        await wizard.pilot.resize_terminal(80, 24)
        await wizard.pilot.pause(0.1)
        await wizard.pilot.press("y")
        await until(wizard.pilot, lambda: wizard.step.done)


@pytest.mark.parametrize(
    ("verb", "opening_key", "letter"),
    [
        ("Drop 3 tables", "enter", "D"),
        ("Drop 3 tables", "d", "R"),
        ("Skip nothing", "n", "K"),
        ("3 Ø", "enter", "X"),
        ("Push", "p", "U"),
    ],
)
def test_the_capital_letter_is_the_verbs_own_and_never_the_opening_key(
    verb: str, opening_key: str, letter: str
) -> None:
    assert capital_letter(verb, opening_key) == letter


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_the_choices_stay_in_sight_under_long_names_and_long_ways_back(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = "/home/somebody/" + "a long folder name/" * 7 + "Notes, now on main"
    undo = "Back to the branch it was on; the new branch is deleted while it has no commits of its own."
    actions = (Command(("git", "switch", "--create", "consolidate"), path), Command(("git", "update-ref"), path))
    remark = Remark("1 changed and 1 untracked files stay as they are; nothing is stashed away, added or committed.")
    for extra in (0, 4):
        padding = tuple(Remark(f"line {number}") for number in range(extra))
        preview = msgspec.structs.replace(CAREFUL, target=path, undo=undo, actions=(*actions, remark, *padding))
        async with asked(tmp_path / str(extra), preview, Danger.CAREFUL, size=size) as wizard:
            await wizard.pilot.pause(0.1)
            text = shown(wizard.pilot)
            for part in ("[ Cancel ]", "y  Rewrite 2 files", "s  Skip, with a reason", "its own.", "now on main"):
                assert part in text
