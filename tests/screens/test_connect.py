"""The dialog that asks for a connection: pasted in any form, taken apart, corrected, and never painted."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

from screens.dialogs.connect import ConnectDialog, masked
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.questions import ConnectionAnswer, ConnectionRequest
from tekup_migrate.steps import Context, Evidence, Preview, Step, Verdict
from tests.screens.scenery import Scenery, heard, shown, started, until
from tests.screens.sizes import SMALL_FIRST

REF = "abcdefghijklmnopqrst"
PLANNED = f"postgresql://postgres@db.{REF}.supabase.co:5432/postgres"
POOLER = f"postgresql://postgres.{REF}@aws-0-eu-west-3.pooler.supabase.com:5432/postgres"


class ConnectStep(Step):
    """Asks for a connection once."""

    def __init__(self, *, text: str = PLANNED, password: Secret | None = None, trouble: bool = False) -> None:
        super().__init__(id="setup.connect", phase="setup", title="Connect to Old [north]")
        self.answer: ConnectionAnswer | None = None
        self.done = False
        failed = ConnectionFailedError(
            "The host is reachable by IPv6 only",
            happened="db.x has only an IPv6 address and this machine has no IPv6 route.",
            unchanged="Nothing was read or written.",
            remedy="Use the session pooler.",
        )
        self.request = ConnectionRequest(
            title="Old [north]",
            ref=REF,
            region="eu-west-3",
            text=text,
            planned=PLANNED,
            password=password,
            trouble=failed if trouble else None,
            kept_in="the Secret Service keyring",
        )

    async def preview(self, context: Context) -> Preview:
        return Preview(title=self.title, target="x", verb="Look", undo="nothing")

    async def apply(self, context: Context) -> None:
        self.answer = await context.operator.connection(self.request)
        self.done = True

    async def verify(self, context: Context) -> Evidence:
        return Evidence(verdict=Verdict.PASSED, summary="connected")


async def asked(pilot: Pilot[int]) -> None:
    await started(pilot)
    await until(pilot, lambda: isinstance(pilot.app.screen, ConnectDialog))
    await heard(pilot)


async def paste(pilot: Pilot[int], text: str) -> None:
    pilot.app.post_message(Paste(text))
    await pilot.pause(0.15)


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_a_pasted_url_is_taken_apart_and_its_password_is_taken_out_at_once(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    step = ConnectStep()
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=size) as pilot:
        await asked(pilot)
        assert f"ref       {REF}" in shown(pilot)
        await paste(pilot, f'# the session pooler\nDATABASE_URL="{POOLER.replace("@", ":ses@me#1@", 1)}"\n')
        text = shown(pilot)
        for part in ("session pooler", "eu-west-3", "@ → %40", "differs from the plan"):
            assert part in text
        for picture in (text, app.export_screenshot()):
            assert "ses@me" not in picture
            assert "ses%40me" not in picture
        await pilot.press("enter")
        await until(pilot, lambda: step.done)
    assert step.answer is not None
    assert step.answer.password is not None
    assert (step.answer.text, step.answer.password.reveal()) == (POOLER, "ses@me#1")


async def test_a_password_typed_into_the_url_is_never_painted(tmp_path: Path) -> None:
    step = ConnectStep(text="")
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        for part in ("postgres://postgres:", "sesame", "@", f"db.{REF}.supabase.co/postgres"):
            await pilot.press(*part)
            assert "sesam" not in shown(pilot)
            assert "sesam" not in app.export_screenshot()
        url = app.screen.query_one("#url", Input)
        url.action_select_all()
        url.action_copy()
        await pilot.press("ctrl+x")
        assert app.clipboard == ""
        await pilot.press("enter")
        await until(pilot, lambda: step.done)
    assert step.answer is not None
    assert step.answer.text == PLANNED
    assert step.answer.password is not None
    assert step.answer.password.reveal() == "sesame"


@pytest.mark.parametrize(
    "rubbish", ["hunter2-my-password", "two\nlines of it", "https://example.com/x", "\n", "\x1b[31m"]
)
async def test_a_paste_that_is_no_url_is_not_put_on_the_screen(tmp_path: Path, rubbish: str) -> None:
    step = ConnectStep()
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("shift+tab")
        await paste(pilot, rubbish)
        text = shown(pilot)
        assert "is not taken" in text
        assert "hunter2" not in text
        assert app.screen.query_one("#url", Input).value == PLANNED


PARTS = f"host: aws-0-eu-west-3.pooler.supabase.com\nport: 5432\nuser: postgres.{REF}\npassword: ses@me two\n"


@pytest.mark.parametrize("line", ["#url", "#secret"])
async def test_parts_that_are_pasted_into_either_line_are_taken_for_what_they_are(tmp_path: Path, line: str) -> None:
    step = ConnectStep()
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        app.screen.query_one(line).focus()
        await paste(pilot, PARTS)
        text = shown(pilot)
        assert "session pooler" in text
        assert "ses@me" not in text
        await pilot.press("enter")
        await until(pilot, lambda: step.done)
    assert step.answer == ConnectionAnswer(text=POOLER, password=Secret("ses@me two", kind="password"))


@pytest.mark.parametrize("pasted", ["sesame", "  sesame \r\n", "\nsesame"])
async def test_a_password_that_is_pasted_alone_is_taken_once_without_what_is_around_it(
    tmp_path: Path, pasted: str
) -> None:
    step = ConnectStep()
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await paste(pilot, pasted)
        await pilot.press("enter")
        await until(pilot, lambda: step.done)
    assert step.answer == ConnectionAnswer(text=PLANNED, password=Secret("sesame", kind="password"))


async def test_what_cannot_be_right_is_said_and_not_given_away(tmp_path: Path) -> None:
    step = ConnectStep(text=POOLER.replace("5432", "6543"), password=Secret("sesame", kind="password"))
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        assert "✗ Port 6543 is the transaction pooler" in shown(pilot)
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert not step.done
        assert "Use the session pooler" in shown(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: step.done)
    assert step.answer is None


@pytest.mark.parametrize("size", SMALL_FIRST)
async def test_after_a_failure_cause_and_cure_stand_there_and_nothing_typed_is_lost(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    step = ConnectStep(text=POOLER, password=Secret("sesame", kind="password"), trouble=True)
    app = Scenery(tmp_path, [step]).app()
    async with app.run_test(size=size) as pilot:
        await asked(pilot)
        text = shown(pilot)
        for part in ("IPv6 only", "no IPv6 route", "Use the session pooler.", "does not connect yet"):
            assert part in text
        assert "sesame" not in text
        await pilot.press("enter")
        await until(pilot, lambda: step.done)
    assert step.answer == ConnectionAnswer(text=POOLER, password=Secret("sesame", kind="password"))


@pytest.mark.parametrize(
    ("text", "shown_as"),
    [
        ("postgres://me:pass@h/x", "postgres://me:••••@h/x"),
        ("postgres://me:p@ss@h/x", "postgres://me:••••@h/x"),
        ("postgres://me:pas", "postgres://me:•••"),
        ("postgres://me@h:5432/x", "postgres://me@h:5432/x"),
        ("host=h password=pass user=me", "host=h password=•••• user=me"),
        ("host=h PGPASSWORD=a b", "host=h PGPASSWORD=•••"),
        ("user=me DB_PASS='a b' host=h", "user=me DB_PASS=••••• host=h"),
        ("", ""),
    ],
)
def test_whatever_can_be_a_password_is_dots(text: str, shown_as: str) -> None:
    assert masked(text) == shown_as
