"""The keyring store against a real Secret Service: gnome-keyring on a bus of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.judging import forms, named_in
from tests.keymaking import made_jwt, made_password
from tests.test_credentials_command import Place

linux = pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's keyring")
PROGRAMS = ("dbus-run-session", "gnome-keyring-daemon")
UNLOCKED = r'printf "\n" | gnome-keyring-daemon --unlock --components=secrets >/dev/null'

SITTINGS = """
    import asyncio, json, sys
    from tekup_migrate.credentials.keyring_store import open_store
    from tekup_migrate.credentials.secret import Secret

    async def main():
        first = await open_store()
        if first.trouble:
            return {"trouble": first.trouble.trouble, "details": first.trouble.details}
        await first.store.set("a" * 20, "password", Secret("p\\u00e4ss w@rd", kind="password"))
        await first.store.set("a" * 20, "service key", Secret("x" * 1280, kind="service key"))
        later = (await open_store()).store
        read = await later.get("a" * 20, "password")
        long = await later.get("a" * 20, "service key")
        forgot = await later.forget("a" * 20, "password")
        gone = await (await open_store()).store.get("a" * 20, "password")
        return {
            "name": later.name,
            "read": read.reveal(),
            "long": len(long.reveal()),
            "forgot": forgot,
            "gone": gone is None,
        }

    print(json.dumps(asyncio.run(main())))
"""

AWAKE = (
    "for _ in $(seq 60); do dbus-send --session --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus"
    " org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q true && break; sleep 0.5; done"
)
"""Waits for the daemon, which is slow on a busy machine; it only looks, for a call would make the bus start another."""


@dataclass(frozen=True)
class Bus:
    """A session bus with a keyring daemon on it, both ours alone.

    Attributes:
        variables: the environment of a program that is to find them.
    """

    variables: dict[str, str]

    def run(self, script: str) -> str:
        """Run a script beside the daemon; return the last line it printed."""
        argv = [sys.executable, "-c", textwrap.dedent(script)]
        done = subprocess.run(argv, env=self.variables, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]


@contextmanager
def on_a_bus(home: Path, daemon: str) -> Iterator[Bus]:
    """Start a keyring daemon on a bus and in a home of its own; all of it ends with the block."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: no real Secret Service can be asked")
    runtime = tempfile.mkdtemp(prefix="bus-", dir="/tmp")  # a socket's path has at most 107 bytes
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DBUS", "GNOME", "XDG"))}
    environment = kept | {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": runtime,
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    environment.pop("PYTHON_KEYRING_BACKEND", None)
    shell = f'{daemon}; {AWAKE}; echo "$DBUS_SESSION_BUS_ADDRESS"; cat'
    argv = ["dbus-run-session", "--", "bash", "-c", shell]
    process = subprocess.Popen(
        argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "no bus came up"
        yield Bus(environment | {"DBUS_SESSION_BUS_ADDRESS": address})
    finally:
        # The daemon puts itself in the background of this session; the session is ours alone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=20)
        shutil.rmtree(runtime, ignore_errors=True)


@linux
def test_a_real_secret_service_keeps_gives_back_and_forgets(tmp_path: Path) -> None:
    with on_a_bus(tmp_path, UNLOCKED) as bus:
        assert bus.run(SITTINGS) == (
            '{"name": "the Secret Service keyring", "read": "p\\u00e4ss w@rd",'
            ' "long": 1280, "forgot": true, "gone": true}'
        )


@linux
def test_a_real_secret_service_that_nobody_unlocks_is_named(tmp_path: Path) -> None:
    with on_a_bus(tmp_path, "gnome-keyring-daemon --start --components=secrets >/dev/null") as bus:
        assert '"trouble": ' in bus.run(SITTINGS)


@linux
def test_the_command_imports_into_a_real_secret_service_lists_replaces_and_forgets(tmp_path: Path) -> None:
    with on_a_bus(tmp_path / "home", UNLOCKED) as bus:
        # The default of the keyring package, which other tests of the command switch off.
        chosen = {"PYTHON_KEYRING_BACKEND": "keyring.backends.chainer.ChainerBackend"}
        place = Place(tmp_path / "øl [1]", extra=bus.variables | chosen)
        source, ref = place.plan.project_id("source"), place.plan.source.ref
        password, later = f"p@{made_password()}", f"q/{made_password()}"
        anon, service = (made_jwt(ref=ref, role=role) for role in ("anon", "service_role"))
        url = f"postgresql://postgres:{quote(password, safe='')}@db.{ref}.supabase.co:5432/postgres"
        place.write_env(f"DATABASE_URL={url}\nSUPABASE_ANON_KEY={anon}\nSUPABASE_SERVICE_KEY={service}\n")

        def there() -> list[str | None]:
            """Ask the keyring itself, past the product, for the password and both keys."""
            asked = f"""
                import json, keyring
                kinds = "password", "anon key", "service key"
                names = [f"tekup-migrate/{ref}/{{kind}}" for kind in kinds]
                print(json.dumps([keyring.get_password(name, "tekup-migrate") for name in names]))
            """
            found: list[str | None] = json.loads(bus.run(asked))
            return found

        assert place.run("import").code == 1, "nobody was there to confirm it"
        assert there() == [None, None, None]
        assert place.run("import", "--yes").code == 0
        assert there() == [password, anon, service]
        listed = place.run()
        assert "Kept in the Secret Service keyring:" in listed.out
        assert sum(f"  {source} " in line and "–" not in line for line in listed.out.splitlines()) == 3
        assert place.run("replace", source, "password", given=f"{later}\n").code == 0
        assert place.run("forget", source, "service-key", "--yes").code == 0
        assert there() == [later, anon, None]
        assert place.run("forget", source, "--yes").code == 0
        assert there() == [None, None, None]
    secrets = {name: forms(value) for name, value in (("old", password), ("new", later), ("a", anon), ("s", service))}
    assert named_in(place.said.encode(), secrets) == []
    state = tmp_path / "øl [1]" / "state"
    assert not [path for path in state.rglob("*") if path.is_file() and named_in(path.read_bytes(), secrets)]
