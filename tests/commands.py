"""Running ``python -m tekup_migrate`` the way an operator does: as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: ours, this checkout first on the path, and no keyring."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TEKUP_MIGRATE_")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        **(extra or {}),
    }


def command(*arguments: object) -> list[str]:
    """The command line of one command."""
    return [sys.executable, "-m", "tekup_migrate", *map(str, arguments)]


def tekup_migrate(*arguments: object, extra: Mapping[str, str] | None = None, seconds: float = 200) -> Ended:
    """Run one command to its end."""
    done = subprocess.run(
        command(*arguments),
        env=environment(extra),
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
