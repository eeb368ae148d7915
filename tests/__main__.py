"""Runs every check of the repository: ``python -m tests``; further arguments go to pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

QUICK = (("-m", "ruff", "check", "."), ("-m", "ruff", "format", "--check", "."))
SLOW = (("-m", "mypy"), ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"))
"""These run beside the tests, which wait for servers, children and deaf dialogs a third of their time."""


def main(arguments: list[str]) -> int:
    """Run every check and return the first exit code that is not 0; arguments that are given go to pytest."""
    # Colours are part of the snapshots, and a proxy must not stand between a test and loopback.
    dropped = ("NO_COLOR", "FORCE_COLOR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    environment = {key: value for key, value in os.environ.items() if key.upper() not in dropped}
    environment["PYTHONUTF8"] = "1"
    for check in QUICK:
        print(f"── {check[1]}", flush=True)
        code = subprocess.call((sys.executable, *check), cwd=ROOT, env=environment)
        if code:
            return code
    # A file stays on one worker, which shares its servers and worlds; conftest.py orders the files.
    whole = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile", "--no-loadscope-reorder")
    parallel = () if any(each.startswith("-n") for each in arguments) else whole
    with ThreadPoolExecutor(len(SLOW)) as pool:
        beside = [pool.submit(_checked, check, environment) for check in SLOW]
        print("── pytest", flush=True)
        codes = [subprocess.call((sys.executable, "-m", "pytest", *parallel, *arguments), cwd=ROOT, env=environment)]
        codes += [each.result() for each in beside]
    return next((code for code in codes if code), 0)


def _checked(check: tuple[str, ...], environment: dict[str, str]) -> int:
    """Run a check, and say what it said in one piece."""
    ended = subprocess.run(
        (sys.executable, *check),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    print(f"\n── {check[1]}\n{ended.stdout}", flush=True)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
