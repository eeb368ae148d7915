"""Runs every check of the repository: ``python -m tests``; further arguments go to pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CHECKS = (
    ("-m", "ruff", "check", "."),
    ("-m", "ruff", "format", "--check", "."),
    ("-m", "mypy"),
    ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
)


def main(arguments: list[str]) -> int:
    """Run the checks in turn, the tests last, and return the first exit code that is not 0."""
    # Colours are part of the snapshots, and a proxy must not stand between a test and loopback.
    dropped = ("NO_COLOR", "FORCE_COLOR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    environment = {key: value for key, value in os.environ.items() if key.upper() not in dropped}
    environment["PYTHONUTF8"] = "1"
    for check in CHECKS:
        print(f"── {check[1]}", flush=True)
        code = subprocess.call((sys.executable, *check), cwd=ROOT, env=environment)
        if code:
            return code
    print("── pytest", flush=True)
    # A file stays on one worker, which shares its servers and worlds; conftest.py orders the files. Tests wait for
    # servers, children and deaf dialogs a third of their time: one worker more than there are cores keeps them busy.
    whole = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile", "--no-loadscope-reorder")
    parallel = () if any(each.startswith("-n") for each in arguments) else whole
    return subprocess.call((sys.executable, "-m", "pytest", *parallel, *arguments), cwd=ROOT, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
