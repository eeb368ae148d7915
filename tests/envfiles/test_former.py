from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tekup_migrate.credentials.seal import Seal, SealBrokenError
from tekup_migrate.envfiles.former import FormerFile, restore
from tekup_migrate.envfiles.rewrite import plan_rewrite, write
from tekup_migrate.errors import WorldChangedError

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions and symlinks")

BEFORE = b"\xef\xbb\xbfKEY='hunter2'\r\nOTHER=\xff # caf\xe9\r\nLAST=1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / ".env"
    file.write_bytes(BEFORE)
    file.chmod(0o640)
    return file


def rewritten(path: Path) -> FormerFile:
    rewrite = plan_rewrite(path, {"KEY": "new"})
    former = FormerFile.of(path, rewrite)
    write(rewrite)
    return former


def test_the_exact_bytes_come_back(path: Path) -> None:
    former = rewritten(path)
    assert path.read_bytes() != BEFORE
    assert restore(former)
    assert path.read_bytes() == BEFORE
    assert not restore(former)


@posix
def test_mode_and_symlink_come_back(path: Path) -> None:
    link = path.with_name("docker.env")
    link.symlink_to(".env")
    former = rewritten(link)
    path.chmod(0o600)
    link.unlink()
    link.write_bytes(path.read_bytes())
    assert restore(former)
    assert str(link.readlink()) == ".env"
    assert path.read_bytes() == BEFORE
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@posix
def test_a_removed_symlink_comes_back(path: Path) -> None:
    link = path.with_name("docker.env")
    link.symlink_to(".env")
    former = rewritten(link)
    link.unlink()
    assert restore(former)
    assert link.read_bytes() == BEFORE


def test_an_edit_meanwhile_is_named_and_not_overwritten(path: Path) -> None:
    former = rewritten(path)
    edited = path.read_bytes().replace(b"LAST=1", b"LAST=swordfish")
    path.write_bytes(edited)
    with pytest.raises(WorldChangedError) as caught:
        restore(former)
    assert path.read_bytes() == edited
    assert "LAST" in caught.value.happened
    assert "KEY" not in caught.value.happened
    assert "swordfish" not in str(caught.value)


@posix
def test_a_symlink_that_points_elsewhere_now_is_not_touched(path: Path) -> None:
    former = rewritten(path)
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(WorldChangedError):
        restore(former)
    assert elsewhere.read_bytes() == former.written


def test_it_is_kept_sealed_and_opens_in_a_later_sitting(path: Path) -> None:
    former = rewritten(path)
    key = Seal.new_key()
    sealed = former.sealed(Seal(key))
    assert b"hunter2" not in sealed
    assert FormerFile.unsealed(sealed, Seal(key)) == former
    with pytest.raises(SealBrokenError):
        FormerFile.unsealed(sealed, Seal(Seal.new_key()))
    with pytest.raises(SealBrokenError):
        FormerFile.unsealed(sealed[:-8] + b"AAAAAAA=", Seal(key))
