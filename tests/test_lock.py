"""One run at a time per plan: the second process is told who holds it, and a killed one holds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tekup_migrate.errors import JournalError, RunLockedError
from tekup_migrate.lock import hold

HOLDER = """
import sys, time
from pathlib import Path
from tekup_migrate.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_which_process_holds_the_run(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(RunLockedError) as raised, hold(tmp_path):
            pass
        assert f"process {child.pid}" in raised.value.happened
    finally:
        child.kill()
        child.communicate()
    with hold(tmp_path):
        assert (tmp_path / "holder.json").exists()
    assert not (tmp_path / "holder.json").exists()


def test_being_refused_leaves_the_holders_name_in_place(tmp_path: Path) -> None:
    with hold(tmp_path):
        with pytest.raises(RunLockedError), hold(tmp_path):
            pass
        assert (tmp_path / "holder.json").exists()


def test_a_state_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written"), hold(tmp_path / "file" / "x"):
        pass
