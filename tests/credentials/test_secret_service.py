"""The keyring store against a real Secret Service: gnome-keyring on a bus of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

PROGRAMS = ("dbus-run-session", "gnome-keyring-daemon")

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


def run_on_a_bus(home: Path, daemon: str) -> str:
    """Run the sittings beside a keyring daemon, on a bus and in a home that end with this call."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: no real Secret Service can be asked")
    script = home / "sittings.py"
    script.write_text(textwrap.dedent(SITTINGS), encoding="utf-8")
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
    shell = f'{daemon}; {AWAKE}; "{sys.executable}" "{script}"'
    argv = ["dbus-run-session", "--", "bash", "-c", shell]
    process = subprocess.Popen(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    finally:
        # The daemon puts itself in the background of this session; the session is ours alone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        shutil.rmtree(runtime, ignore_errors=True)
    return output.splitlines()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's keyring")
def test_a_real_secret_service_keeps_gives_back_and_forgets(tmp_path: Path) -> None:
    unlock = r'printf "\n" | gnome-keyring-daemon --unlock --components=secrets >/dev/null'
    assert run_on_a_bus(tmp_path, unlock) == (
        '{"name": "the Secret Service keyring", "read": "p\\u00e4ss w@rd", "long": 1280, "forgot": true, "gone": true}'
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's keyring")
def test_a_real_secret_service_that_nobody_unlocks_is_named(tmp_path: Path) -> None:
    output = run_on_a_bus(tmp_path, "gnome-keyring-daemon --start --components=secrets >/dev/null")
    assert '"trouble": ' in output
