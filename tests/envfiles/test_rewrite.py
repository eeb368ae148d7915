from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from tekup_migrate.credentials.durable import SUFFIX
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.errors import EnvFileError
from tekup_migrate.envfiles.places import file_warnings
from tekup_migrate.envfiles.rewrite import EnvRewrite, plan_rewrite, write
from tekup_migrate.errors import WorldChangedError
from tekup_migrate.rehearsal.account import server_account
from tests.commands import ROOT
from tests.keymaking import made_jwt, made_ref, made_secret_key
from tests.rehearsed import own_place

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions and symlinks")

BEFORE = b"# notes\r\nexport API_URL='https://old.example'\r\nSERVICE_KEY=old # keep\r\nENCRYPTION_KEY=$x\\n\r\nLAST=1"


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(BEFORE)
    return path


def planned(path: Path) -> EnvRewrite:
    return plan_rewrite(path, {"SERVICE_KEY": Secret("new", kind="service key"), "API_URL": "https://new.example"})


def test_planning_writes_nothing(env_file: Path) -> None:
    rewrite = planned(env_file)
    assert env_file.read_bytes() == rewrite.before == BEFORE
    assert rewrite.changed == ("API_URL", "SERVICE_KEY")


def test_writing_changes_the_values_and_not_a_byte_more(env_file: Path) -> None:
    assert write(planned(env_file))
    expected = BEFORE.replace(b"https://old", b"https://new").replace(b"=old #", b"=new #")
    assert env_file.read_bytes() == expected
    assert list(env_file.parent.iterdir()) == [env_file]


def test_writing_twice_is_writing_once(env_file: Path) -> None:
    rewrite = planned(env_file)
    assert write(rewrite)
    written = env_file.stat().st_mtime_ns
    assert not write(rewrite)
    assert env_file.stat().st_mtime_ns == written
    assert plan_rewrite(env_file, {"SERVICE_KEY": "new"}).changed == ()


def test_a_file_that_was_edited_meanwhile_is_left_alone(env_file: Path) -> None:
    rewrite = planned(env_file)
    env_file.write_bytes(BEFORE.replace(b"LAST=1", b"LAST=hunter2"))
    with pytest.raises(WorldChangedError) as caught:
        write(rewrite)
    assert env_file.read_bytes().endswith(b"LAST=hunter2")
    assert "LAST" in caught.value.happened
    assert "hunter2" not in str(caught.value)


@posix
def test_mode_and_symlink_are_kept(env_file: Path) -> None:
    real = env_file.rename(env_file.with_name("real.env"))
    real.chmod(0o640)
    env_file.symlink_to("real.env")
    assert write(planned(env_file))
    assert env_file.is_symlink()
    assert b"new.example" in real.read_bytes()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_is_kept(env_file: Path) -> None:
    os.chown(env_file, 12345, 23456)
    assert write(planned(env_file))
    assert (env_file.stat().st_uid, env_file.stat().st_gid) == (12345, 23456)


def test_what_a_crash_left_behind_is_cleared_away(env_file: Path) -> None:
    env_file.with_name(".env" + SUFFIX).write_bytes(b"half a fi")
    assert write(planned(env_file))
    assert list(env_file.parent.iterdir()) == [env_file]


@pytest.mark.parametrize("torn", [b"\nEXTRA=1", b"\nLAST='open", b"\nLAST=2", b"\nSERVICE_KEY"])
def test_nothing_is_written_when_python_dotenv_would_read_something_else(env_file: Path, torn: bytes) -> None:
    good = planned(env_file)
    with pytest.raises(EnvFileError, match="would not be read as intended"):
        write(replace(good, after=good.after + torn + b"\n'"))
    assert env_file.read_bytes() == BEFORE
    assert list(env_file.parent.iterdir()) == [env_file]


def test_a_secret_alone_on_a_line_is_not_named_as_a_key(env_file: Path) -> None:
    rewrite = planned(env_file)
    stray = [made_secret_key(), made_jwt(ref=made_ref(), role="anon")]
    env_file.write_bytes(BEFORE + f"\n{stray[0]}\n{stray[1]}\n".encode())
    with pytest.raises(WorldChangedError) as caught:
        write(rewrite)
    assert not any(secret in str(caught.value) for secret in stray)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvFileError, match=r"\.env cannot be read"):
        plan_rewrite(tmp_path / ".env", {"A": "1"})


def test_no_value_is_in_the_repr(env_file: Path) -> None:
    assert "example" not in repr(planned(env_file))


@posix
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe.env", tmp_path / ".env"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder, Path(os.devnull)):
        with pytest.raises(EnvFileError, match="not a regular file"):
            plan_rewrite(path, {"A": "1"})


@posix
def test_a_chain_of_symlinks_is_followed_and_a_dangling_or_endless_one_refused(env_file: Path) -> None:
    real = env_file.rename(env_file.with_name("real"))
    for name, target in (("one", "real"), ("two", "one"), ("dangling", "nowhere"), ("loop", "loop")):
        env_file.with_name(name).symlink_to(target)
    assert write(planned(env_file.with_name("two")))
    assert b"new.example" in real.read_bytes()
    assert str(env_file.with_name("two").readlink()) == "one"
    for name in ("dangling", "loop"):
        with pytest.raises(EnvFileError, match="cannot be read"):
            planned(env_file.with_name(name))


@posix
def test_a_read_only_file_is_replaced_stays_so_and_this_is_said(env_file: Path) -> None:
    env_file.chmod(0o440)
    assert "read-only" in "".join(file_warnings(env_file))
    assert write(planned(env_file))
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o440


@posix
def test_another_name_of_the_file_keeps_the_former_content_and_this_is_said(env_file: Path) -> None:
    other = env_file.with_name("other")
    other.hardlink_to(env_file)
    assert "hard links" in "".join(file_warnings(env_file))
    assert write(planned(env_file))
    assert other.read_bytes() == BEFORE


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_leaves_the_file_as_it_was(env_file: Path) -> None:
    env_file.parent.chmod(0o500)
    try:
        with pytest.raises(EnvFileError, match="cannot be written"):
            write(planned(env_file))
        assert env_file.read_bytes() == BEFORE
    finally:
        env_file.parent.chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file to another")
def test_a_file_of_another_owner_is_left_as_it_was() -> None:
    account = server_account()
    assert account is not None
    attempt = """
        import os, sys
        from pathlib import Path
        from tekup_migrate.envfiles.errors import EnvFileError
        from tekup_migrate.envfiles.rewrite import plan_rewrite, write

        path, uid, gid = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
        rewrite = plan_rewrite(path, {"LAST": "2"})
        # Only now: the interpreter may lie in a folder that is closed to the other account.
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        try:
            write(rewrite)
        except EnvFileError as error:
            print(error.title)
    """
    with own_place(uid=account.uid) as place:
        path = place.home / ".env"
        path.write_bytes(BEFORE)
        path.chmod(0o644)
        argv = [sys.executable, "-c", textwrap.dedent(attempt), str(path), str(account.uid), str(account.gid)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout == ".env cannot be written\n", done.stderr
        assert (path.read_bytes(), path.stat().st_uid) == (BEFORE, 0)
        assert list(place.home.iterdir()) == [path]


@posix
def test_a_disk_that_takes_no_more_leaves_the_file_as_it_was(env_file: Path) -> None:
    import resource

    rewrite = planned(env_file)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(EnvFileError, match="cannot be written"):
            write(rewrite)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert env_file.read_bytes() == BEFORE
    assert list(env_file.parent.iterdir()) == [env_file]


@pytest.mark.parametrize(
    "content",
    [
        b"A=\0\nB=1\n",
        b"A=" + b"x" * 1_000_000 + b"\nB=1",
        b"# \xff\xfe\nB='1'",
        b"B=1\rA=2\r\nC=3\n",
        b"export B = 1 # x",
    ],
    ids=["nul", "long", "bad utf-8", "mixed line ends", "export"],
)
def test_odd_bytes_around_a_value_stay(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(content)
    assert write(plan_rewrite(path, {"B": "new"}))
    expected = content.replace(b"B='1'", b"B='new'").replace(b"B=1", b"B=new").replace(b"B = 1", b"B = new")
    assert path.read_bytes() == expected


def test_an_empty_file_has_no_key_to_rewrite(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"")
    with pytest.raises(EnvFileError, match="A is not in the file"):
        plan_rewrite(path, {"A": "1"})


def test_a_line_that_cannot_be_read_puts_no_warning_on_the_screen() -> None:
    script = "from tekup_migrate.envfiles.rewrite import read_values; print(read_values(b'A: 1\\nB=2'))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{'B': '2'}\n", "")
