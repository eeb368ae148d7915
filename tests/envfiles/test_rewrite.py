from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tekup_migrate.credentials.durable import SUFFIX
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.errors import EnvFileError
from tekup_migrate.envfiles.rewrite import EnvRewrite, plan_rewrite, write
from tekup_migrate.errors import WorldChangedError
from tests.keymaking import made_jwt, made_ref, made_secret_key

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
