"""Committing exactly the named files, and taking commits back."""

from __future__ import annotations

import asyncio
import secrets
import sys

import psutil
import pytest

from tekup_migrate.credentials.leaks import Leak, leaks_in_text
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.errors import WorldChangedError
from tekup_migrate.git.commits import commit_paths, revert_commit, undo_commit
from tekup_migrate.git.program import GitError
from tekup_migrate.git.repository import Repository
from tekup_migrate.git.staging import LeakError, added_lines

from .conftest import NASTY_NAMES, Shell

posix_hooks = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts as hooks")


def find(text: str) -> list[Leak]:
    return leaks_in_text(text, "", Redactor())


def nothing(_: str) -> list[Leak]:
    return []


def new_secret() -> str:
    return "sb_secret_" + secrets.token_hex(16)


async def test_exactly_the_named_files_are_committed_and_staged_work_stays_staged(dirty: Shell) -> None:
    dirty.write("docs/new æ.md", "new\n")
    repository = await Repository.open(dirty.root)
    index = dirty.git("ls-files", "--stage")
    paths = [".env", "docs/new æ.md"]
    record = await commit_paths(repository, paths, "Point at the target\n", allowed=paths, find=nothing)
    assert record is not None
    assert set(record.paths) == set(paths)
    assert dirty.git("show", f"{record.sha}:.env") == "PORT=2\r\n# æ\r\n"
    after = set(dirty.git("ls-files", "--stage").splitlines())
    assert {line for line in index.splitlines() if not line.endswith(".env")} <= after
    assert dirty.git("show", ":README.md") == "# staged\n"
    assert (dirty.root / "README.md").read_text() == "# staged and changed\n"
    assert dirty.git("log", "-1", "--format=%an %s").strip() == "Nanna Prøve Point at the target"


async def test_files_with_any_name_can_be_committed_and_taken_back(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    record = await commit_paths(repository, NASTY_NAMES, "Names", allowed=NASTY_NAMES, find=nothing)
    assert record is not None
    assert set(record.paths) == set(NASTY_NAMES)
    await undo_commit(repository, record)
    assert dirty.state() == before
    await undo_commit(repository, record)
    assert dirty.state() == before


async def test_a_deletion_can_be_committed_and_taken_back(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    record = await commit_paths(repository, ["src/app.ts"], "Remove", allowed=["src/app.ts"], find=nothing)
    assert record is not None
    assert "app.ts" not in dirty.git("ls-tree", "-r", "--name-only", "HEAD")
    await undo_commit(repository, record)
    assert dirty.state() == before


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".env.local", "ignores it"),
        ("README.md", "only part"),
        ("gone.txt", "no such file"),
        ("src", "no such file"),
        ("../outside", "plain path"),
        ("/etc/hosts", "plain path"),
        ("./.env", "plain path"),
        ("", "plain path"),
    ],
)
async def test_what_may_not_be_committed_is_refused_and_nothing_is_staged(dirty: Shell, path: str, reason: str) -> None:
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    with pytest.raises(GitError, match="is not committed") as raised:
        await commit_paths(repository, [".env", path], "x", allowed=[".env", path], find=nothing)
    assert reason in raised.value.happened
    assert dirty.state() == before


async def test_a_path_outside_the_list_is_refused(dirty: Shell) -> None:
    with pytest.raises(GitError, match="is not committed") as raised:
        await commit_paths(await Repository.open(dirty.root), [".env"], "x", allowed=["README.md"], find=nothing)
    assert "not among the files" in raised.value.happened


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
async def test_a_secret_is_found_before_anything_is_committed_and_not_shown(dirty: Shell, encoding: str) -> None:
    secret = new_secret()
    (dirty.root / "notes.md").write_bytes(f"key: {secret}\n".encode(encoding))
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    with pytest.raises(LeakError) as raised:
        await commit_paths(repository, ["notes.md"], "x", allowed=["notes.md"], find=find)
    assert "notes.md" in raised.value.happened
    assert secret not in str(raised.value)
    assert dirty.state() == before


async def test_a_secret_in_the_message_is_found(dirty: Shell) -> None:
    with pytest.raises(LeakError):
        await commit_paths(
            await Repository.open(dirty.root), [".env"], f"use {new_secret()}", allowed=[".env"], find=find
        )


async def test_a_secret_that_was_committed_before_does_not_stop_other_lines(shell: Shell) -> None:
    secret = new_secret()
    shell.write("notes.md", f"{secret}\n")
    shell.commit("leaked long ago")
    shell.write("notes.md", f"{secret}\nmore\n")
    repository = await Repository.open(shell.root)
    assert await commit_paths(repository, ["notes.md"], "x", allowed=["notes.md"], find=find)
    shell.write("notes.md", f"{secret}\nmore\n{secret}\n")
    with pytest.raises(LeakError) as raised:
        await commit_paths(repository, ["notes.md"], "x", allowed=["notes.md"], find=find)
    assert "notes.md, line 3" in raised.value.details


def test_added_lines_are_those_the_old_text_does_not_hold_as_often() -> None:
    assert added_lines(b"a\nb\n", b"b\na\nc\na\n") == {3, 4}


@posix_hooks
async def test_a_hook_that_rejects_is_shown_and_everything_is_as_before(dirty: Shell) -> None:
    dirty.hook("pre-commit", "echo 'lint: semicolon missing' >&2; exit 1")
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    paths = [".env", "a b.txt"]
    with pytest.raises(GitError, match="did not make the commit") as raised:
        await commit_paths(repository, paths, "x", allowed=paths, find=nothing)
    assert "semicolon missing" in raised.value.details
    assert dirty.state() == before


@posix_hooks
async def test_a_hook_that_adds_a_file_is_honoured_and_undone_with_the_rest(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    dirty.hook("pre-commit", "echo made > made.txt; git add made.txt")
    before = dirty.state()
    record = await commit_paths(repository, [".env"], "x", allowed=[".env"], find=nothing)
    assert record is not None
    assert set(record.paths) == {".env", "made.txt"}
    await undo_commit(repository, record)
    (dirty.root / "made.txt").unlink()
    assert dirty.state() == before


@posix_hooks
async def test_a_secret_that_a_hook_puts_in_is_taken_back(dirty: Shell) -> None:
    secret = new_secret()
    dirty.hook("pre-commit", f"echo {secret} > made.txt; git add made.txt")
    repository = await Repository.open(dirty.root)
    head = dirty.git("rev-parse", "HEAD")
    with pytest.raises(LeakError) as raised:
        await commit_paths(repository, [".env"], "x", allowed=[".env"], find=find)
    assert "taken back" in raised.value.unchanged
    assert dirty.git("rev-parse", "HEAD") == head


@posix_hooks
async def test_a_program_that_a_hook_leaves_running_does_not_hold_us_up(dirty: Shell) -> None:
    dirty.hook("post-commit", "sleep 8 &")
    record = await commit_paths(await Repository.open(dirty.root), [".env"], "x", allowed=[".env"], find=nothing)
    assert record is not None


async def test_without_an_identity_the_commit_is_refused_with_gits_words(dirty: Shell, own_home: object) -> None:
    dirty.git("config", "user.useConfigOnly", "true")
    dirty.git("config", "--global", "--remove-section", "user")
    before = dirty.state()
    with pytest.raises(GitError) as raised:
        await commit_paths(await Repository.open(dirty.root), ["a b.txt"], "x", allowed=["a b.txt"], find=nothing)
    assert "user.email" in raised.value.details or "tell me who you are" in raised.value.details
    assert dirty.state() == before


async def test_repeating_a_commit_returns_the_one_that_was_made(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    first = await commit_paths(repository, [".env"], "Point æ\n\nbody", allowed=[".env"], find=nothing)
    assert await commit_paths(repository, [".env"], "Point æ\n\nbody", allowed=[".env"], find=nothing) == first
    assert await commit_paths(repository, [".env"], "Other", allowed=[".env"], find=nothing) is None


async def test_the_first_commit_of_a_repository_is_made_and_taken_back(dirty: Shell) -> None:
    dirty.git("switch", "-q", "-f", "--orphan", "fresh")
    dirty.write("one.txt", "1\n")
    dirty.write("two.txt", "2\n")
    dirty.git("add", "two.txt")
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    record = await commit_paths(repository, ["one.txt"], "x", allowed=["one.txt"], find=nothing)
    assert record is not None
    assert record.paths == ("one.txt",)
    assert record.parent is None
    await undo_commit(repository, record)
    assert dirty.state() == before


async def test_a_commit_under_others_or_on_a_remote_is_not_undone(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    record = await commit_paths(repository, [".env"], "x", allowed=[".env"], find=nothing)
    assert record is not None
    dirty.git("update-ref", "refs/remotes/origin/main", record.sha)
    with pytest.raises(GitError, match="has been pushed"):
        await undo_commit(repository, record)
    dirty.git("commit", "-qm", "later", "--allow-empty")
    with pytest.raises(WorldChangedError):
        await undo_commit(repository, record)


async def test_a_revert_restores_the_files_and_leaves_staged_work_alone(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    old = dirty.git("show", "HEAD:.env")
    paths = [".env", "a b.txt"]
    record = await commit_paths(repository, paths, "Point", allowed=paths, find=nothing)
    assert record is not None
    dirty.git("commit", "-q", "--allow-empty", "--only", "-m", "later")
    reverted = await revert_commit(repository, record, find=nothing)
    assert reverted is not None
    assert set(reverted.paths) == set(paths)
    assert dirty.git("show", "HEAD:.env") == old
    assert (dirty.root / ".env").read_bytes() == old.encode()
    assert not (dirty.root / "a b.txt").exists()
    assert dirty.git("show", ":README.md") == "# staged\n"
    assert await revert_commit(repository, record, find=nothing) == reverted


async def test_a_revert_is_refused_when_the_files_changed_since(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    record = await commit_paths(repository, [".env"], "Point", allowed=[".env"], find=nothing)
    assert record is not None
    dirty.write(".env", "PORT=3\n")
    with pytest.raises(WorldChangedError) as raised:
        await revert_commit(repository, record, find=nothing)
    assert "edits" in raised.value.happened
    dirty.git("commit", "-qm", "later", "--", ".env")
    with pytest.raises(WorldChangedError) as raised:
        await revert_commit(repository, record, find=nothing)
    assert "commits" in raised.value.happened
    assert (dirty.root / ".env").read_text() == "PORT=3\n"


@posix_hooks
async def test_a_revert_that_a_hook_rejects_puts_the_files_back(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    paths = [".env", "a b.txt"]
    record = await commit_paths(repository, paths, "Point", allowed=paths, find=nothing)
    assert record is not None
    dirty.hook("pre-commit", "exit 1")
    before = dirty.state()
    with pytest.raises(GitError, match="did not make"):
        await revert_commit(repository, record, find=nothing)
    assert dirty.state() == before


async def test_a_file_that_was_staged_whole_is_staged_again_after_the_undo(dirty: Shell) -> None:
    dirty.git("add", ".env", "blåbær æøå.md")
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    paths = [".env", "blåbær æøå.md"]
    record = await commit_paths(repository, paths, "x", allowed=paths, find=nothing)
    assert record is not None
    await undo_commit(repository, record)
    assert dirty.state() == before


async def test_nothing_is_committed_into_a_merge_that_is_under_way(dirty: Shell) -> None:
    (dirty.root / ".git" / "MERGE_HEAD").write_text(dirty.git("rev-parse", "HEAD"))
    with pytest.raises(GitError, match="merge is under way"):
        await commit_paths(await Repository.open(dirty.root), [".env"], "x", allowed=[".env"], find=nothing)


@posix_hooks
async def test_a_cancelled_commit_leaves_no_hook_running_and_nothing_staged(dirty: Shell) -> None:
    dirty.hook("pre-commit", 'echo $$ > ".git/hook pid"; sleep 60')
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    task = asyncio.create_task(commit_paths(repository, ["a b.txt"], "x", allowed=["a b.txt"], find=nothing))
    file = dirty.root / ".git" / "hook pid"
    async with asyncio.timeout(20):
        while not (file.exists() and file.read_text().strip()):
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not runs(int(file.read_text()))
    assert dirty.state() == before
    assert not (dirty.root / ".git" / "index.lock").exists()


def runs(pid: int) -> bool:
    """Whether a process still runs; one that nobody has reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
