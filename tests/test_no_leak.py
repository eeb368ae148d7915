"""A whole run in a real terminal, with failures, a pause and a crash: no secret is anywhere but in the app's ``.env``.

The short form, on an unattended rehearsal, is in ``test_rehearsal_whole``.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tekup_migrate.rehearsal.sample_config import read_environment
from tests.judging import forms, named_in
from tests.rehearsed import own_place
from tests.screens.test_whole_rehearsal import Terminal, wanted_key
from tests.worlds import LIBRARY, OwnWorld, own_world

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX is needed"),
]
LIMIT = 230.0
_RESTING = re.compile(r"Phases and steps|▶ Paused|◆ paused|⏸|paused", re.IGNORECASE)
PASSPHRASE = "correct horse battery"
WRONG = "not the p@ssword"
MAY_HOLD = {"PGPASSWORD"}  # the one way of giving a password to pg_dump that other users cannot read


RECORDING = """
import json, os, runpy, sys

def heard(event, details):
    if event == "subprocess.Popen":
        program, line, _, variables = details
    elif event in ("os.exec", "os.posix_spawn"):
        program, line, variables = details
    elif event in ("os.system", "os.spawn"):
        program, line, variables = event, [str(each) for each in details], None
    else:
        return
    variables = os.environb if variables is None else variables
    said = json.dumps({
        "line": [os.fsdecode(each) for each in ([line] if isinstance(line, (str, bytes)) else line)],
        "variables": {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()},
    })
    with open(RECORD, "a", encoding="utf-8") as record:
        record.write(said + "\\n")

RECORD = sys.argv.pop(1)
sys.addaudithook(heard)
sys.argv[0] = "tekup-migrate"
runpy.run_module("tekup_migrate", run_name="__main__", alter_sys=True)
"""
"""Runs the product with Python's own audit events noted: whatever it starts, however short it lives."""


@dataclass
class Watch:
    """Looks at the command lines and environments of all processes below this one, until it is told to stop.

    What a child starts in turn is seen here when it lives long enough; what the product starts is recorded besides.
    """

    secrets: dict[str, set[bytes]]
    found: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def look(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                line, variables = process.cmdline(), process.environ()
            except psutil.Error:
                continue
            self.seen.add(Path(line[0]).name if line else "")
            self.judge(line, variables)

    def judge(self, line: list[str], variables: Mapping[str, str]) -> None:
        """Note every secret in a command line or an environment."""
        texts = {"its arguments": " ".join(line)}
        texts |= {f"its environment's {name}": text for name, text in variables.items() if name not in MAY_HOLD}
        for where, text in texts.items():
            for name in named_in(text.encode("utf-8", "surrogateescape"), self.secrets):
                self.found.add(f"{name} in {where}: {line[:2]}")

    def read(self, record: Path) -> set[str]:
        """Judge all that the product is recorded to have started; return the names of the programs."""
        started = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        for each in started:
            self.judge(each["line"], each["variables"])
        return {Path(each["line"][0]).name for each in started}


@contextmanager
def watching(secrets: dict[str, set[bytes]]) -> Iterator[Watch]:
    watch, done = Watch(secrets), threading.Event()

    def keep_looking() -> None:
        while not done.wait(0.15):
            watch.look()

    thread = threading.Thread(target=keep_looking, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()


@dataclass
class Keyboard:
    """An operator who pastes secrets where they are asked for, agrees to everything, and stops where told to."""

    own: OwnWorld
    terminal: Terminal
    until: float
    wrong_first: bool = False
    port: socket.socket | None = None
    answered: int = 0
    failures: int = 0
    paused: bool = True

    def paste(self, text: str) -> None:
        self.terminal.text(0.6)
        self.terminal.press(f"\x1b[200~{text}\x1b[201~")
        self.terminal.text(0.3)
        self.terminal.press("\r")

    def carry_on(self, *, stop_after: int = 1000) -> None:
        """Answer until the criteria are shown, or so many previews were agreed to."""
        last = ""
        while time.monotonic() < self.until:
            shown = self.terminal.text(0.3)
            if "Success criteria" in shown:
                self.terminal.press("q")
                return
            if self.answered >= stop_after:
                return
            if shown != last and self._give_secret(shown):
                last = shown
            elif "[ Leave it ]" in shown:
                self._mend(shown)
            elif key := wanted_key(shown):
                if shown != last:
                    last = shown
                    self._agree(key)
            elif ("Enter Start" in shown or "Enter Resume" in shown) and _RESTING.search(shown):
                self.terminal.press("\r")
                self.terminal.text(0.8)
        raise AssertionError("it did not come to its end:\n" + self.terminal.text(0.1))

    def _agree(self, key: str) -> None:
        """Press the key of a dialog that listens by now; the first time, pause right behind it."""
        self.terminal.text(0.6)
        self.terminal.press(key)
        self.answered += 1
        if not self.paused:
            self.terminal.press("p")
            self.paused = True

    def _give_secret(self, shown: str) -> bool:
        if "Connection URL, or its parts" in shown:
            name = next(name for name, project in self.own.world.plan.projects.items() if project.ref in shown)
            database = self.own.world.projects[name].database
            password = WRONG if self.wrong_first else database.password.reveal()
            self.failures += self.wrong_first
            self.wrong_first = False
            url = database.dsn.replace("@", f":{quote(password, safe='')}@", 1)
            self.paste(f'psql "{url}"')
        elif re.search(r"Passphrase[^\n]*needed", shown):
            self.paste(PASSPHRASE)
        elif "Service key needed" in shown:
            target = self.own.world.plan.project_id("target")
            self.paste(self.own.world.projects[target].keys.service.reveal())
        else:
            return False
        return True

    def _mend(self, shown: str) -> None:
        self.failures += 1
        if self.port is not None:
            self.port.close()
            self.port = None
        self.terminal.text(0.6)
        self.terminal.press("a")
        self.terminal.text(0.6)


def git_objects(repository: Path) -> dict[str, bytes]:
    """Every object of a repository, reachable or not, by its name."""
    argv = ["git", "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)"]
    listed = subprocess.run(argv, cwd=repository, capture_output=True, check=True, text=True).stdout.split("\n")
    found = {}
    for name, kind in (line.split() for line in listed if line):
        content = subprocess.run(["git", "cat-file", kind, name], cwd=repository, capture_output=True, check=True)
        found[name] = content.stdout
    return found


@pytest.mark.timeout(LIMIT + 60)
def test_no_secret_is_anywhere_but_in_the_apps_own_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_world(LIBRARY, rows=40) as own, own_place(name="leak") as place:
        repository = own.world.apps["desk"].repository
        secrets = {"the passphrase": forms(PASSPHRASE), "the wrong password": forms(WRONG)}
        for name, project in own.world.projects.items():
            held = {"password": project.password, "anon key": project.keys.anon, "service key": project.keys.service}
            secrets |= {f"{kind} of {name}": forms(secret.reveal()) for kind, secret in held.items()}
        values = read_environment(repository / ".env.production").values
        secrets |= {f"the app's {key}": forms(values[key]) for key in values if key.endswith(("_KEY", "_SALT"))}
        before = set(git_objects(repository))
        for name, value in {**place.variables, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", own.variables["PATH"])
        record = place.reports / "started"
        product = [sys.executable, "-c", RECORDING, str(record)]
        argv = [*product, "--plan", str(own.plan_file), "--state", str(own.state)]
        until = time.monotonic() + LIMIT
        with watching(secrets) as watch:
            first = Terminal(argv, columns=120, lines=40)
            try:
                keyboard = Keyboard(own, first, until, wrong_first=True)
                keyboard.carry_on(stop_after=4)
            finally:
                first.kill()
            second = Terminal(argv, columns=120, lines=40)
            try:
                port = socket.create_server(("127.0.0.1", own.world.apps["desk"].port))
                keyboard = Keyboard(own, second, until, port=port, paused=False)
                keyboard.carry_on()
            finally:
                code = second.close()
        assert code == 0
        assert keyboard.failures, "a step failed on the way, and was mended"

        started = watch.read(record)
        assert watch.found == set()
        assert watch.seen
        assert {"git", "pg_dump", "pg_restore"} <= started
        raw = first.raw + second.raw
        assert named_in(raw, secrets) == []
        assert b"refused" in raw, "a wrong password was pasted, and refused"
        written = [p for f in (own.state, place.home, place.temporary) for p in f.rglob("*") if p.is_file()]
        assert any(path.name == "journal.sqlite3" for path in written)
        assert [path for path in written if named_in(path.read_bytes(), secrets)] == []
        after = git_objects(repository)
        assert len(after) > len(before)
        assert [named_in(after[name], secrets) for name in after.keys() - before] == [[]] * (len(after) - len(before))
        env_file = (repository / ".env.production").read_bytes()
        assert named_in(
            env_file, {n: s for n, s in secrets.items() if n in ("password of main", "service key of main")}
        )
