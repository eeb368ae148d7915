"""Pushing a branch, never by force, and taking a first push back."""

from __future__ import annotations

from dataclasses import dataclass

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.git.program import GitError, GitOutput, git_failed
from tekup_migrate.git.repository import Repository

_NOTHING_SENT = "The remote is as it was; your commits are here, on this machine."
_ASKED = "tekup-migrate-push"
_AUTHENTICATION = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "invalid username or password",
    "terminal prompts disabled",
    "returned error: 401",
    "returned error: 403",
    "host key verification failed",
)


@dataclass(frozen=True)
class OutgoingCommit:
    """A commit that a push would send: its SHA and first line."""

    sha: str
    subject: str


@dataclass(frozen=True)
class PushPreview:
    """What pushing would do. ``remote_sha`` is where the remote's branch is, None when it has none.

    ``commits`` are newest first. ``up_to_date`` and ``diverged`` exclude each other; a diverged branch
    would be rejected. ``url`` has no credentials.
    """

    remote: str
    url: str
    branch: str
    local_sha: str
    remote_sha: str | None
    commits: tuple[OutgoingCommit, ...]
    diverged: bool

    @property
    def up_to_date(self) -> bool:
        """Whether there is nothing to send."""
        return self.remote_sha == self.local_sha


@dataclass(frozen=True)
class PushRecord:
    """A push that was made: where the remote's branch was before (None: it had none) and is now."""

    remote: str
    branch: str
    before: str | None
    after: str
    upstream_before: str | None


async def remote_branch(repository: Repository, branch: str, remote: str) -> str | None:
    """Ask the remote where its branch is; None when it has none.

    Raises:
        GitError: the remote cannot be reached.
    """
    return await _remote_sha(repository, branch, remote)


async def push_preview(repository: Repository, branch: str, remote: str) -> PushPreview:
    """Ask the remote where its branch is, and return what a push would send.

    Raises:
        GitError: there is no such branch or remote, or the remote cannot be reached.
    """
    local = await repository.resolve(f"refs/heads/{branch}")
    known = {entry.name: entry for entry in await repository.remotes()}
    if local is None or remote not in known:
        missing = f"remote called {remote}" if remote not in known else f"branch {branch} with commits"
        raise GitError(
            f"There is no {missing}",
            happened=f"{repository.root.name} has no {missing}.",
            unchanged="Nothing was sent.",
            remedy="Add it (git remote add …), or correct the plan." if local else "Correct the plan.",
        )
    there = await _remote_sha(repository, branch, remote)
    commits = await _outgoing(repository, local, there, remote)
    diverged = there is not None and there != local and not await _is_ancestor(repository, there, local)
    return PushPreview(remote, known[remote].push_url, branch, local, there, commits, diverged)


async def push(repository: Repository, branch: str, remote: str) -> PushRecord:
    """Push ``branch`` to the branch of the same name, and make it follow that; never by force.

    The user's pre-push hook has its say. Up to date already, only the following is set.

    Raises:
        GitError: the remote has commits of its own, a hook rejected the push, the remote knows us not or
            cannot be reached.
    """
    preview = await push_preview(repository, branch, remote)
    before = await repository.upstream(branch)
    ref = f"refs/heads/{branch}"
    output = await repository.git(
        "push", "--porcelain", "--no-force", "--no-follow-tags", "--recurse-submodules=no",
        "--set-upstream", "--", remote, f"{ref}:{ref}",
        check=False,
    )  # fmt: skip
    if output.exit_code != 0:
        raise _not_pushed(output, branch, remote)
    return PushRecord(remote, branch, preview.remote_sha, preview.local_sha, before)


async def undo_push(repository: Repository, record: PushRecord) -> None:
    """Delete the remote's branch that our push made, if it still stands where the push left it.

    Does nothing when the branch is gone already.

    Raises:
        GitError: the branch was there before the push; a revert commit is the way back then.
        WorldChangedError: somebody pushed to the branch since.
    """
    if record.before == record.after:
        return
    if record.before is not None:
        raise GitError(
            "The branch was on the remote before",
            happened=f"{record.remote} had {record.branch} already, and others may have fetched it.",
            unchanged="Nothing was changed on the remote.",
            remedy="Take the commits back by a revert commit, and push that.",
        )
    there = await _remote_sha(repository, record.branch, record.remote)
    if there is not None:
        if there != record.after:
            raise WorldChangedError(
                "The remote's branch has moved",
                happened=f"{record.branch} on {record.remote} is at {there[:12]}, not at "
                f"{record.after[:12]} where our push left it.",
                unchanged="Nothing was changed on the remote.",
                remedy="See who pushed to it; delete it by hand when nobody needs it.",
            )
        await _delete_remote_branch(repository, record)
    await _restore_upstream(repository, record)


async def _delete_remote_branch(repository: Repository, record: PushRecord) -> None:
    ref = f"refs/heads/{record.branch}"
    # The lease is no force here: it makes the deletion fail when the branch moves in this very moment.
    output = await repository.git(
        "push", "--porcelain", f"--force-with-lease={ref}:{record.after}", "--recurse-submodules=no",
        "--", record.remote, f":{ref}",
        check=False,
    )  # fmt: skip
    if output.exit_code != 0:
        raise _not_pushed(output, record.branch, record.remote)


async def _restore_upstream(repository: Repository, record: PushRecord) -> None:
    if await repository.ref(f"refs/heads/{record.branch}") is None:
        return
    if record.upstream_before is None:
        # Fails when nothing is set, which is what is wanted.
        await repository.git("branch", "--unset-upstream", record.branch, check=False)
        return
    short = record.upstream_before.removeprefix("refs/remotes/").removeprefix("refs/heads/")
    await repository.git("branch", "--quiet", f"--set-upstream-to={short}", record.branch)


async def _remote_sha(repository: Repository, branch: str, remote: str) -> str | None:
    ref = f"refs/heads/{branch}"
    push_url = (await repository.read("remote", "get-url", "--push", remote)).text
    # "ls-remote" asks where one fetches from. An address can hold a password: by environment, not argument.
    asked = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"remote.{_ASKED}.url",
        "GIT_CONFIG_VALUE_0": push_url,
    }
    output = await repository.git("ls-remote", "--quiet", "--", _ASKED, ref, check=False, environment=asked)
    if output.exit_code != 0:
        raise _not_pushed(output, branch, remote)
    for line in output.text.splitlines():
        sha, _, name = line.partition("\t")
        if name == ref:
            return sha
    return None


async def _outgoing(repository: Repository, local: str, there: str | None, remote: str) -> tuple[OutgoingCommit, ...]:
    # Commits the remote has on other branches are not sent again.
    excluded = [f"--remotes={remote}"]
    if there is not None and await repository.resolve(there) is not None:
        excluded.append(there)
    output = await repository.read("log", "-z", "--format=%H %s", local, "--not", *excluded)
    return tuple(OutgoingCommit(*line.split(" ", 1)) for line in output.items)


async def _is_ancestor(repository: Repository, ancestor: str, descendant: str) -> bool:
    output = await repository.read("merge-base", "--is-ancestor", ancestor, descendant, check=False)
    return output.exit_code == 0


def _not_pushed(output: GitOutput, branch: str, remote: str) -> GitError:
    """Return what a failed push means, read from its porcelain lines and messages (git-push(1), OUTPUT)."""
    rejected = next((line for line in output.text.splitlines() if line.startswith("!")), "")
    said = f"{rejected}\n{output.messages}".lower()
    if "hook declined" in said or "pre-receive" in said:
        title, remedy = f"{remote} refused {branch}", "Its hook says why below; put that right and try again."
    elif any(reason in rejected for reason in ("fetch first", "non-fast-forward", "stale info")):
        title = f"{remote} has commits on {branch} that are not here"
        remedy = f"Fetch and merge them (git pull --no-rebase {remote} {branch}), then try again."
    elif any(reason in said for reason in _AUTHENTICATION):
        title = f"{remote} did not let us in"
        remedy = "Log in once in another terminal (git fetch, gh auth login, ssh-add), then try again."
    elif rejected:
        title, remedy = f"{remote} rejected {branch}", "Read its reason below, and try again."
    else:
        title = f"{branch} was not pushed to {remote}"
        remedy = "Read git's message below: is the remote reachable, and did a pre-push hook refuse?"
    return git_failed(output, title=title, unchanged=_NOTHING_SENT, remedy=remedy)
