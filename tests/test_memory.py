"""The figure of how much memory this program took."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.commands import environment

BALLAST = 300 * 1024 * 1024
STARTED_BY_A_LARGE_PROCESS = f"""
import subprocess, sys
ballast = bytearray(b"x") * {BALLAST}
child = "from tekup_migrate.memory import peak_memory; print(peak_memory())"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, check=True, text=True).stdout)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is passed on there")
def test_the_memory_of_whoever_started_us_is_not_counted_as_ours() -> None:
    line = [sys.executable, "-c", STARTED_BY_A_LARGE_PROCESS]
    done = subprocess.run(line, env=environment(), capture_output=True, check=True, encoding="utf-8")
    assert 5_000_000 < int(done.stdout) < BALLAST // 2
