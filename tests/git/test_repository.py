"""Opening repositories and reading how they stand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tekup_migrate.git import program
from tekup_migrate.git.program import GitError
from tekup_migrate.git.repository import Repository
from tekup_migrate.git.status import Change
from tekup_migrate.git.urls import mask_urls

from .conftest import NASTY_NAMES, Shell


async def test_a_repository_opens_from_any_folder_inside_it(shell: Shell) -> None:
    for path in (shell.root, shell.root / "src"):
        repository = await Repository.open(path)
        assert repository.root == shell.root.resolve()
        assert repository.git_dir == shell.root.resolve() / ".git"


async def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="Not a git repository") as raised:
        await Repository.open(tmp_path)
    assert str(tmp_path) in raised.value.happened


async def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="does not exist"):
        await Repository.open(tmp_path / "gone")


async def test_a_bare_repository_is_refused(shell: Shell, tmp_path: Path) -> None:
    shell.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(GitError, match="no work tree"):
        await Repository.open(tmp_path / "bare")


async def test_a_missing_git_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GitError, match="git was not found"):
        await Repository.open(shell.root)


async def test_settings_of_a_surrounding_hook_do_not_lead_to_another_repository(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other index"))
    repository = await Repository.open(shell.root)
    assert "README.md" in await repository.tracked_files()


async def test_head_tells_branch_detached_and_unborn(shell: Shell, tmp_path: Path) -> None:
    repository = await Repository.open(shell.root)
    sha = shell.git("rev-parse", "HEAD").strip()
    head = await repository.head()
    assert (head.branch, head.sha) == ("main", sha)
    shell.git("switch", "-q", "--detach")
    head = await repository.head()
    assert (head.branch, head.sha) == (None, sha)
    empty = Shell(tmp_path / "empty")
    empty.root.mkdir()
    empty.git("init", "-q")
    head = await (await Repository.open(empty.root)).head()
    assert (head.branch, head.unborn) == ("main", True)


async def test_status_tells_every_kind_of_change(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    entries = {entry.path: entry for entry in await repository.status()}
    assert (entries["README.md"].index, entries["README.md"].worktree) == (Change.MODIFIED, Change.MODIFIED)
    assert entries[".env"].modified
    assert not entries[".env"].staged
    assert entries["src/app.ts"].worktree is Change.DELETED
    assert entries["staged new.txt"].index is Change.ADDED
    assert {path for path, entry in entries.items() if entry.untracked} == set(NASTY_NAMES)
    assert ".env.local" not in entries
    assert [entry.path for entry in await repository.status(["README.md"])] == ["README.md"]
    dirty.git("mv", "staged new.txt", "moved")
    dirty.git("commit", "-qm", "moved", "--", "moved")
    dirty.git("mv", "moved", "moved again")
    renamed = {entry.path: entry for entry in await repository.status()}["moved again"]
    assert (renamed.index, renamed.origin) == (Change.RENAMED, "moved")


async def test_paths_in_conflict_and_the_merge_are_told(shell: Shell) -> None:
    shell.git("switch", "-qc", "other")
    shell.write("README.md", "theirs\n")
    shell.commit("theirs")
    shell.git("switch", "-q", "main")
    shell.write("README.md", "ours\n")
    shell.commit("ours")
    repository = await Repository.open(shell.root)
    assert repository.operation_in_progress() is None
    with pytest.raises(AssertionError):
        shell.git("merge", "other")
    assert repository.operation_in_progress() == "merge"
    assert [entry.path for entry in await repository.status() if entry.conflicted] == ["README.md"]


async def test_a_submodule_is_told_apart(shell: Shell, tmp_path: Path) -> None:
    shell.git("clone", "-q", ".", str(tmp_path / "part"))
    shell.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "part"), "part")
    repository = await Repository.open(shell.root)
    entries = {entry.path: entry for entry in await repository.status()}
    assert entries["part"].submodule
    assert not entries[".gitmodules"].submodule


async def test_ignored_paths_are_told_and_tracked_ones_are_not_among_them(shell: Shell) -> None:
    shell.write(".gitignore", "*\n")
    for name in (".env.local", *NASTY_NAMES):
        shell.write(name, "x")
    repository = await Repository.open(shell.root)
    paths = ["README.md", ".env.local", *NASTY_NAMES]
    assert await repository.ignored(paths) == set(paths) - {"README.md"}
    assert await repository.ignored([]) == set()


async def test_remotes_and_upstream_are_told_without_credentials(shell: Shell, tmp_path: Path) -> None:
    shell.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    shell.git("remote", "add", "origin", str(tmp_path / "bare"))
    shell.git("remote", "add", "hub", "https://nanna:hemmelig@example.invalid/x.git")
    shell.git("push", "-q", "-u", "origin", "main")
    repository = await Repository.open(shell.root)
    remotes = {remote.name: remote for remote in await repository.remotes()}
    assert remotes["hub"].push_url == "https://***@example.invalid/x.git"
    assert remotes["origin"].fetch_url == str(tmp_path / "bare")
    assert await repository.upstream("main") == "refs/remotes/origin/main"
    assert await repository.upstream("gone") is None


async def test_worktrees_are_told_with_their_branches(shell: Shell, tmp_path: Path) -> None:
    shell.git("worktree", "add", "-q", "-b", "beside", str(tmp_path / "w æ"))
    trees = await (await Repository.open(tmp_path / "w æ")).worktrees()
    assert {(tree.path.name, tree.branch) for tree in trees} == {("my æpp [1]", "main"), ("w æ", "beside")}


async def test_reading_takes_no_lock_and_leaves_the_index_alone(dirty: Shell) -> None:
    index = dirty.root / ".git" / "index"
    before = index.stat().st_mtime_ns
    repository = await Repository.open(dirty.root)
    (dirty.root / ".git" / "index.lock").touch()
    await repository.status()
    await repository.tracked_files()
    assert index.stat().st_mtime_ns == before


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script as git")
async def test_a_repository_of_another_user_gives_gits_own_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Owning a file as somebody else needs root, so a stand-in says what git says then.
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'fatal: detected dubious ownership in repository' >&2\nexit 128\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    assert program.find_git() == fake
    with pytest.raises(GitError, match="does not trust"):
        await Repository.open(tmp_path)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ghp_abc@github.com/a/b", "https://***@github.com/a/b"),
        ("https://u:p%40ss@host:8443/a?token=1", "https://***@host:8443/a?***"),
        ("https://u:p@ss@host/a", "https://***@host/a"),
        ("ssh://git@host:22/a", "ssh://git@host:22/a"),
        ("ssh://git:pw@host/a", "ssh://git:***@host/a"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("fatal: unable to access 'https://t@h/': x", "fatal: unable to access 'https://***@h/': x"),
        ("/srv/a@b", "/srv/a@b"),
    ],
)
def test_credentials_in_addresses_are_masked(address: str, shown: str) -> None:
    assert mask_urls(address) == shown
