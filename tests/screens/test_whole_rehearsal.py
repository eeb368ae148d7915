"""A whole rehearsal by keyboard: once with a pilot at 120 × 40, once in a real terminal of 80 × 24."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from screens.app import WizardApp
from screens.dialogs.choose import ChooseDialog
from screens.dialogs.dialog import Dialog
from screens.final import FinalScreen
from screens.hub import HubScreen
from tekup_migrate.plan import BUILT_IN, read_plan
from tekup_migrate.rehearsal.opening import rehearsal_opening

ROWS = 60
LIMIT = 200.0
ROOT = Path(__file__).resolve().parents[2]


def verdicts(report: Path) -> list[str]:
    """Return the verdicts of a report's criteria."""
    return [criterion["verdict"] for criterion in msgspec.json.decode(report.read_bytes())["criteria"]]


@pytest.mark.timeout(LIMIT + 40)
@pytest.mark.long
async def test_a_pilot_walks_a_whole_rehearsal_from_the_hub_to_the_criteria(tmp_path: Path) -> None:
    plan = read_plan(BUILT_IN)
    report = tmp_path / "report.json"
    opening = rehearsal_opening(plan, BUILT_IN.with_suffix(""), rows=ROWS)
    app = WizardApp(plan=plan, opening=opening, rehearsal=True, report_file=report)
    asked: list[str] = []
    async with app.run_test(size=(120, 40)) as pilot:
        until = time.monotonic() + LIMIT
        while not isinstance(app.screen, FinalScreen):
            assert time.monotonic() < until, asked
            await pilot.pause(0.1)
            if isinstance(app.screen, HubScreen):
                # At the start, and again at the end of each sitting.
                await pilot.press("enter")
                await pilot.pause(0.5)
            elif isinstance(app.screen, Dialog):
                if app.screen.has_class("-deaf"):
                    continue
                asked.append(f"{type(app.screen).__name__}: {app.screen.keys[0]}")
                await pilot.press("1" if isinstance(app.screen, ChooseDialog) else app.screen.keys[0][0])
        await pilot.press("q")
        await pilot.pause()
    assert verdicts(report) == ["passed"] * 10
    assert len(asked) > 15


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX is needed; Windows has another kind")
@pytest.mark.timeout(LIMIT + 40)
def test_keys_alone_carry_a_whole_rehearsal_in_a_real_terminal(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    terminal = Terminal(
        [sys.executable, "-m", "tekup_migrate", "rehearse", "--rows", str(ROWS), "--report", str(report)]
    )
    try:
        answered = terminal.drive(time.monotonic() + LIMIT)
    finally:
        code = terminal.close()
    assert code == 0
    assert answered > 15
    assert verdicts(report) == ["passed"] * 10
    given_back = terminal.raw[-4000:].partition(b"\x1b[?1049l")[2]
    assert b"The rehearsal is over, and everything of it is removed: " in given_back, "the terminal's own screen"


class Terminal:
    """A program in a pseudo-terminal, its screen as a person would see it, and keys to press."""

    def __init__(self, argv: list[str], *, columns: int = 80, lines: int = 24) -> None:
        import fcntl
        import pty
        import struct
        import termios

        import pyte

        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
        self._child = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            # Only a controlling terminal sends a hang-up when it is closed.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,  # noqa: PLW1509 - no threads here yet
        )
        os.close(slave)
        self.raw = b""

    def text(self, seconds: float) -> str:
        """Read for a while, and return what the screen shows then."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                break
            try:
                chunk = os.read(self._master, 65536)
            except OSError:
                break
            self.raw += chunk
            # pyte knows neither the private modes nor the keyboard protocol that are switched on at the start.
            self._stream.feed(re.sub(rb"\x1b\[[<>=?][0-9;]*[a-z]|\x1b\[\?[0-9;]*\$p|\x1bP.*?\x1b\\", b"", chunk))
        return "\n".join(self._screen.display)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def drive(self, until: float) -> int:
        """Start at the hub, agree to everything, quit at the criteria; return how many dialogs were answered."""
        answered, last = 0, ""
        while time.monotonic() < until:
            shown = self.text(0.3)
            if "Success criteria" in shown:
                self.press("q")
                return answered
            if ("Enter Start" in shown or "Enter Resume" in shown) and "Phases and steps" in shown:
                # The hub: at the start, and again at the end of each sitting.
                self.press("\r")
                self.text(1.0)
            elif (key := wanted_key(shown)) and shown != last:
                last = shown
                # A dialog is deaf at first; what is pressed too early is thrown away.
                self.text(0.6)
                self.press(key)
                answered += 1
        raise AssertionError("the rehearsal did not come to its end:\n" + "\n".join(self._screen.display))

    def vanish(self, seconds: float) -> int:
        """Close the window while the program runs; return its exit code."""
        os.close(self._master)
        return self._child.wait(seconds)

    def kill(self) -> None:
        """End the program at once, if it still runs."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def close(self) -> int:
        """Wait for the program to end, and end it when it does not."""
        until = time.monotonic() + 30
        while self._child.poll() is None and time.monotonic() < until:
            self.text(0.2)
        self.kill()
        os.close(self._master)
        return self._child.wait()


def wanted_key(shown: str) -> str:
    """Return the key that a dialog on the screen says goes ahead, or nothing when there is none."""
    if "[ Decide later ]" in shown:
        return "1"
    found = re.search(r"\[ (?:Cancel|Not now)[^\]]* \][\s│]+([A-Za-z])  \w", shown)
    return found.group(1) if found else ""


@pytest.mark.skipif(sys.platform == "win32", reason="closing a window ends the process on Windows")
def test_nothing_outlives_a_terminal_that_is_closed() -> None:
    # Not below pytest's own folder: as root, the servers' account could not pass through it.
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o711)
        close_the_window_on_a_rehearsal(Path(above) / "world")


def close_the_window_on_a_rehearsal(folder: Path) -> None:
    terminal = Terminal(
        [sys.executable, "-m", "tekup_migrate", "rehearse", "--rows", "20", "--dir", str(folder)], columns=120, lines=40
    )
    try:
        until = time.monotonic() + 90
        while "Phases and steps" not in (shown := terminal.text(0.3)):
            assert time.monotonic() < until, shown
        assert terminal.vanish(60.0) != 0
    finally:
        terminal.kill()
    while folder.exists():
        assert time.monotonic() < until + 60, list(folder.iterdir())
        time.sleep(0.2)
