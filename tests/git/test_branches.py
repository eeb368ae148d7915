"""A branch of the run's own, uncommitted work kept safe, and the way back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.git.branches import make_branch, own_commits, read_record, undo_branch
from tekup_migrate.git.kept_work import keep_work
from tekup_migrate.git.program import GitError
from tekup_migrate.git.repository import Repository

from .conftest import NASTY_NAMES, Shell

BRANCH = "tekup/move-2026"


def without_refs(state: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in state.items() if key not in {"refs", "head"}}


async def test_branching_leaves_index_work_tree_and_stashes_as_they_are(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    record = await make_branch(repository, BRANCH, run="r1")
    after = dirty.state()
    assert without_refs(after) == without_refs(before)
    assert after["head"] == f"ref: refs/heads/{BRANCH}\n"
    assert record.made
    assert record.former.branch == "main"


async def test_undo_restores_everything_exactly(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    record = await make_branch(repository, BRANCH, run="r1")
    undone = await undo_branch(repository, record)
    assert undone.deleted
    assert dirty.state() == before
    assert (await undo_branch(repository, record)).deleted is False
    assert dirty.state() == before


async def test_kept_work_holds_every_byte_of_what_was_uncommitted(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    dirty.git("config", "core.autocrlf", "input")
    work = await keep_work(repository, run="r1")
    assert work.changes is not None
    assert work.untracked is not None
    dirty.git("gc", "-q", "--prune=now")
    kept = set(dirty.git("ls-tree", "-rz", "--name-only", work.untracked.sha).split("\0")) - {""}
    assert kept == set(NASTY_NAMES)
    for name in NASTY_NAMES:
        assert dirty.git("cat-file", "blob", f"{work.untracked.sha}:{name}") == f"{name}\r\nuntracked\r\n"
    assert dirty.git("show", f"{work.changes.sha}:README.md") == "# staged and changed\n"
    assert dirty.git("show", f"{work.changes.sha}^2:README.md") == "# staged\n"
    assert "app.ts" not in dirty.git("ls-tree", "-r", "--name-only", work.changes.sha)


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes are POSIX")
async def test_links_and_modes_are_kept_and_what_is_no_file_is_named(shell: Shell) -> None:
    (shell.root / "link").symlink_to("nowhere æ")
    shell.write("run.sh", "true\n")
    (shell.root / "run.sh").chmod(0o755)
    nested = Shell(shell.root / "nested")
    nested.root.mkdir()
    nested.git("init", "-q")
    nested.write("x", "x")
    nested.commit("x")
    work = await keep_work(await Repository.open(shell.root), run="r1")
    assert work.changes is None
    assert work.untracked is not None
    assert work.left_out == ("nested/",)
    tree = shell.git("ls-tree", "-r", work.untracked.sha)
    assert "120000" in tree
    assert "100755" in tree
    assert shell.git("cat-file", "blob", f"{work.untracked.sha}:link") == "nowhere æ"


async def test_keeping_twice_makes_new_refs_only_for_new_work(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    first = await keep_work(repository, run="r1")
    assert await keep_work(repository, run="r1") == first
    dirty.write("later.txt", "later\n")
    second = await keep_work(repository, run="r1")
    assert second.changes == first.changes
    assert second.untracked != first.untracked
    assert first.untracked is not None
    assert dirty.git("rev-parse", first.untracked.name).strip() == first.untracked.sha


async def test_a_clean_repository_keeps_nothing(shell: Shell) -> None:
    work = await keep_work(await Repository.open(shell.root), run="r1")
    assert work.refs == ()


async def test_work_is_kept_without_an_identity_and_with_signing_demanded(dirty: Shell, own_home: Path) -> None:
    (own_home / ".gitconfig").write_text("[commit]\n\tgpgSign = true\n[user]\n\tuseConfigOnly = true\n")
    work = await keep_work(await Repository.open(dirty.root), run="r1")
    assert len(work.refs) == 2


async def test_files_marked_to_be_added_later_do_not_stop_the_keeping(dirty: Shell) -> None:
    dirty.write("intended.txt", "intended\n")
    dirty.git("add", "-N", "intended.txt")
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    record = await make_branch(repository, BRANCH, run="r1")
    assert record.kept.changes is not None
    assert dirty.git("show", f"{record.kept.changes.sha}:intended.txt") == "intended\n"
    await undo_branch(repository, record)
    assert dirty.state() == before


async def test_a_repository_without_commits_is_branched_and_put_back(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "unborn")
    shell.root.mkdir()
    shell.git("init", "-q")
    shell.write("staged.txt", "s\n")
    shell.git("add", "staged.txt")
    shell.write("loose.txt", "l\n")
    repository = await Repository.open(shell.root)
    before = shell.state()
    record = await make_branch(repository, BRANCH, run="r1")
    assert len(record.kept.refs) == 2
    assert (await repository.head()).branch == BRANCH
    await undo_branch(repository, record)
    assert shell.state() == before


async def test_a_detached_head_is_put_back(dirty: Shell) -> None:
    dirty.git("switch", "-q", "--detach")
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    await undo_branch(repository, await make_branch(repository, BRANCH, run="r1"))
    assert dirty.state() == before


async def test_repeating_returns_the_same_record(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    record = await make_branch(repository, BRANCH, run="r1")
    assert await make_branch(repository, BRANCH, run="r1") == record
    assert await read_record(repository, "r1") == record


async def test_a_crash_before_or_within_the_switch_is_caught_up(dirty: Shell) -> None:
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    record = await make_branch(repository, BRANCH, run="r1")
    dirty.git("symbolic-ref", "HEAD", "refs/heads/main")
    assert await make_branch(repository, BRANCH, run="r1") == record
    dirty.git("symbolic-ref", "HEAD", "refs/heads/main")
    dirty.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    assert await make_branch(repository, BRANCH, run="r1") == record
    await undo_branch(repository, record)
    assert dirty.state() == before


async def test_an_existing_branch_is_refused_or_used_and_never_deleted(dirty: Shell) -> None:
    dirty.git("branch", BRANCH)
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    with pytest.raises(GitError, match="exists already"):
        await make_branch(repository, BRANCH, run="r1")
    assert dirty.state() == before
    record = await make_branch(repository, BRANCH, run="r1", existing="use")
    assert not record.made
    assert (await repository.head()).branch == BRANCH
    undone = await undo_branch(repository, record)
    assert not undone.deleted
    assert dirty.state() == before


async def test_being_on_the_branch_already_is_fine_when_it_may_be_used(dirty: Shell) -> None:
    dirty.git("switch", "-qc", BRANCH)
    repository = await Repository.open(dirty.root)
    before = dirty.state()
    record = await make_branch(repository, BRANCH, run="r1", existing="use")
    await undo_branch(repository, record)
    assert dirty.state() == before


async def test_a_merge_under_way_is_refused(shell: Shell) -> None:
    (shell.root / ".git" / "MERGE_HEAD").write_text(shell.git("rev-parse", "HEAD"))
    with pytest.raises(GitError, match="merge is under way"):
        await make_branch(await Repository.open(shell.root), BRANCH, run="r1")


async def test_files_in_conflict_are_refused(shell: Shell) -> None:
    shell.write("README.md", "stashed\n")
    shell.git("stash", "-q")
    shell.write("README.md", "ours\n")
    shell.commit("ours")
    with pytest.raises(AssertionError):
        shell.git("stash", "pop")
    before = shell.state()
    with pytest.raises(GitError, match="in conflict"):
        await make_branch(await Repository.open(shell.root), BRANCH, run="r1")
    assert shell.state() == before


async def test_a_branch_checked_out_elsewhere_is_refused(shell: Shell, tmp_path: Path) -> None:
    shell.git("worktree", "add", "-q", "-b", BRANCH, str(tmp_path / "beside"))
    with pytest.raises(GitError, match="is in use"):
        await make_branch(await Repository.open(shell.root), BRANCH, run="r1", existing="use")


@pytest.mark.parametrize("name", ["-d", "a..b", "", "a b", "x.lock"])
async def test_what_is_no_branch_name_is_refused(shell: Shell, name: str) -> None:
    before = shell.state()
    with pytest.raises(GitError, match="Not a branch name"):
        await make_branch(await Repository.open(shell.root), name, run="r1")
    assert shell.state() == before


async def test_a_branch_with_commits_of_its_own_is_kept_with_its_refs(shell: Shell) -> None:
    repository = await Repository.open(shell.root)
    record = await make_branch(repository, BRANCH, run="r1")
    shell.write("own.txt", "own\n")
    sha = shell.commit("own")
    assert await own_commits(repository, record) == (sha,)
    shell.write("README.md", "dirty\n")
    undone = await undo_branch(repository, record)
    assert undone.own_commits == (sha,)
    assert not undone.deleted
    assert undone.head.branch == "main"
    assert (shell.root / "README.md").read_text() == "dirty\n"
    assert await read_record(repository, "r1") == record


async def test_a_former_branch_that_has_moved_is_told_and_nothing_is_changed(shell: Shell, tmp_path: Path) -> None:
    repository = await Repository.open(shell.root)
    record = await make_branch(repository, BRANCH, run="r1")
    shell.git("worktree", "add", "-q", str(tmp_path / "w"), "main")
    beside = Shell(tmp_path / "w")
    beside.write("README.md", "moved\n")
    beside.commit("moved")
    before = shell.state()
    with pytest.raises(WorldChangedError, match="main has moved"):
        await undo_branch(repository, record)
    assert shell.state() == before


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script as hook")
async def test_a_hook_that_fails_after_the_switch_does_not_hide_that_it_was_made(shell: Shell) -> None:
    shell.hook("post-checkout", "exit 1")
    record = await make_branch(await Repository.open(shell.root), BRANCH, run="r1")
    assert record.made
    assert shell.git("branch", "--show-current").strip() == BRANCH


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow only Unicode names")
async def test_a_name_that_is_not_utf8_is_kept(shell: Shell) -> None:
    (Path(os.fsdecode(os.fsencode(shell.root) + b"/latin\xe6.txt"))).write_text("x")
    work = await keep_work(await Repository.open(shell.root), run="r1")
    assert work.untracked is not None
    assert "latin\\346.txt" in shell.git("-c", "core.quotePath=true", "ls-tree", "--name-only", work.untracked.sha)


async def test_a_work_tree_beside_the_main_one_is_branched_and_put_back(dirty: Shell, tmp_path: Path) -> None:
    dirty.git("worktree", "add", "-q", "-b", "beside", str(tmp_path / "beside æ"))
    beside = tmp_path / "beside æ"
    (beside / "README.md").write_text("changed\n")
    (beside / "loose.txt").write_text("loose\n")
    repository = await Repository.open(beside)
    before, refs = dirty.state(), dirty.git("for-each-ref")
    record = await make_branch(repository, BRANCH, run="r1")
    assert len(record.kept.refs) == 2
    assert without_refs(dirty.state()) == without_refs(before)
    await undo_branch(repository, record)
    assert dirty.git("for-each-ref") == refs
    assert (await repository.head()).branch == "beside"
    assert (beside / "README.md").read_text() == "changed\n"


async def test_undo_after_the_user_switched_away_deletes_the_branch_and_stays_there(shell: Shell) -> None:
    repository = await Repository.open(shell.root)
    record = await make_branch(repository, BRANCH, run="r1")
    shell.git("switch", "-qc", "elsewhere")
    undone = await undo_branch(repository, record)
    assert undone.deleted
    assert undone.head.branch == "elsewhere"
