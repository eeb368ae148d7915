"""Pushing to real bare remotes."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.git.branches import make_branch, undo_branch
from tekup_migrate.git.commits import commit_paths, undo_commit
from tekup_migrate.git.program import GitError
from tekup_migrate.git.push import push, push_preview, undo_push
from tekup_migrate.git.repository import Repository

from .conftest import Shell

BRANCH = "tekup/move"


@pytest.fixture
def bare(shell: Shell, tmp_path: Path) -> Shell:
    bare = Shell(tmp_path / "remote æ [1].git")
    shell.git("clone", "-q", "--bare", ".", str(bare.root))
    shell.git("remote", "add", "origin", str(bare.root))
    shell.git("push", "-q", "-u", "origin", "main")
    return bare


async def test_a_push_is_previewed_made_and_followed(shell: Shell, bare: Shell) -> None:
    shell.git("switch", "-qc", BRANCH)
    shell.write("README.md", "# new\n")
    sha = shell.commit("Say where the tables are: æ")
    repository = await Repository.open(shell.root)
    preview = await push_preview(repository, BRANCH, "origin")
    assert [(commit.sha, commit.subject) for commit in preview.commits] == [(sha, "Say where the tables are: æ")]
    assert (preview.remote_sha, preview.up_to_date, preview.diverged) == (None, False, False)
    record = await push(repository, BRANCH, "origin")
    assert (record.before, record.after) == (None, sha)
    assert bare.git("rev-parse", BRANCH).strip() == sha
    assert await repository.upstream(BRANCH) == f"refs/remotes/origin/{BRANCH}"
    assert (await push_preview(repository, BRANCH, "origin")).up_to_date
    again = await push(repository, BRANCH, "origin")
    assert again.before == again.after == sha


async def test_the_place_pushed_to_is_asked_when_it_differs_from_the_one_fetched_from(
    shell: Shell, bare: Shell, tmp_path: Path
) -> None:
    shell.git("clone", "-q", "--bare", ".", str(tmp_path / "second.git"))
    shell.git("remote", "set-url", "--push", "origin", str(tmp_path / "second.git"))
    shell.write("README.md", "# new\n")
    sha = shell.commit("new")
    repository = await Repository.open(shell.root)
    await push(repository, "main", "origin")
    assert (await push_preview(repository, "main", "origin")).remote_sha == sha
    assert bare.git("rev-parse", "main").strip() != sha


async def test_the_whole_way_and_back_leaves_repository_and_remote_as_they_were(shell: Shell, bare: Shell) -> None:
    shell.write("src/app.ts", "staged\n")
    shell.git("add", "src/app.ts")
    shell.write("loose.txt", "loose\n")
    repository = await Repository.open(shell.root)
    before, remote_before = shell.state(), bare.git("for-each-ref")
    branch = await make_branch(repository, BRANCH, run="r1")
    shell.write("README.md", "# new\n")
    commit = await commit_paths(repository, ["README.md"], "New", allowed=["README.md"], find=lambda _: [])
    assert commit is not None
    pushed = await push(repository, BRANCH, "origin")
    await undo_push(repository, pushed)
    await undo_push(repository, pushed)
    await undo_commit(repository, commit)
    shell.write("README.md", "# Ledger\n")
    assert (await undo_branch(repository, branch)).deleted
    assert shell.state() == before
    assert bare.git("for-each-ref") == remote_before


async def test_a_remote_with_commits_of_its_own_is_told_and_never_overwritten(
    shell: Shell, bare: Shell, tmp_path: Path
) -> None:
    shell.git("clone", "-q", str(bare.root), str(tmp_path / "other"))
    other = Shell(tmp_path / "other")
    other.write("README.md", "# theirs\n")
    theirs = other.commit("theirs")
    other.git("push", "-q", "origin", "main")
    shell.write("README.md", "# ours\n")
    shell.commit("ours")
    shell.git("config", "remote.origin.push", "+refs/heads/*:refs/heads/*")
    repository = await Repository.open(shell.root)
    assert (await push_preview(repository, "main", "origin")).diverged
    with pytest.raises(GitError, match="has commits on main that are not here"):
        await push(repository, "main", "origin")
    assert bare.git("rev-parse", "main").strip() == theirs


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts as hooks")
async def test_a_hook_of_the_remote_that_declines_is_shown(shell: Shell, bare: Shell) -> None:
    hook = bare.root / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no pushes on Fridays' >&2\nexit 1\n")
    hook.chmod(0o755)
    shell.write("README.md", "# ours\n")
    shell.commit("ours")
    with pytest.raises(GitError, match="origin refused main") as raised:
        await push(await Repository.open(shell.root), "main", "origin")
    assert "no pushes on Fridays" in raised.value.details


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts as hooks")
async def test_a_hook_of_the_users_that_declines_is_shown(shell: Shell, bare: Shell) -> None:
    shell.hook("pre-push", "echo 'tests are red' >&2; exit 1")
    shell.write("README.md", "# ours\n")
    shell.commit("ours")
    with pytest.raises(GitError, match="was not pushed") as raised:
        await push(await Repository.open(shell.root), "main", "origin")
    assert "tests are red" in raised.value.details


async def test_a_remote_that_is_gone_or_unknown_is_told(shell: Shell, tmp_path: Path) -> None:
    repository = await Repository.open(shell.root)
    with pytest.raises(GitError, match="no remote called origin"):
        await push_preview(repository, "main", "origin")
    shell.git("remote", "add", "origin", str(tmp_path / "gone.git"))
    with pytest.raises(GitError, match="was not pushed"):
        await push(repository, "main", "origin")
    with pytest.raises(GitError, match="no branch gone"):
        await push_preview(repository, "gone", "origin")


class Locked(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def locked() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Locked)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_remote_that_wants_a_password_is_told_without_asking_or_showing_one(
    shell: Shell, locked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.delenv(name, raising=False)
    shell.git("remote", "add", "origin", f"http://nanna:hemmelig@127.0.0.1:{locked}/x.git")
    with pytest.raises(GitError, match="did not let us in") as raised:
        await push(await Repository.open(shell.root), "main", "origin")
    assert "hemmelig" not in str(raised.value)


async def test_a_push_onto_a_branch_that_was_there_is_not_undone_by_deleting(shell: Shell, bare: Shell) -> None:
    shell.write("README.md", "# ours\n")
    sha = shell.commit("ours")
    repository = await Repository.open(shell.root)
    record = await push(repository, "main", "origin")
    with pytest.raises(GitError, match="was on the remote before"):
        await undo_push(repository, record)
    assert bare.git("rev-parse", "main").strip() == sha


async def test_a_remote_branch_that_somebody_moved_is_not_deleted(shell: Shell, bare: Shell) -> None:
    shell.git("switch", "-qc", BRANCH)
    repository = await Repository.open(shell.root)
    shell.write("README.md", "# ours\n")
    shell.commit("ours")
    record = await push(repository, BRANCH, "origin")
    bare.git("update-ref", f"refs/heads/{BRANCH}", "main")
    with pytest.raises(WorldChangedError):
        await undo_push(repository, record)
    assert BRANCH in bare.git("branch")
