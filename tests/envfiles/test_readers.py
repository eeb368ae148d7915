"""The other readers of env files are asked themselves: Node's dotenv, Node's own parser, and Next.js."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tekup_migrate.envfiles.document import BOM, EnvDocument
from tekup_migrate.envfiles.errors import UnsafeValueError
from tests.envfiles.strategies import KEYS, any_values, tidy_files

Readings = dict[str, dict[str, str]]


class NodeReaders:
    """A Node process that reads env files for us until its input is closed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(self, content: bytes) -> Readings:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(base64.b64encode(content).decode() + "\n")
        self._process.stdin.flush()
        readings: Readings = json.loads(self._process.stdout.readline())
        return readings


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeReaders]:
    programs = [shutil.which(name) for name in ("node", "npm")]
    if None in programs:
        pytest.skip("Node and npm are not installed: its readers of env files cannot be asked")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text("{}", encoding="utf-8")
    packages = ("dotenv", "dotenv-expand", "@next/env")
    install = [str(programs[1]), "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
    try:
        installed = subprocess.run(install, cwd=folder, capture_output=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not bring dotenv, dotenv-expand and @next/env within 90 seconds")
    if installed.returncode:
        pytest.skip("npm could not bring dotenv, dotenv-expand and @next/env (no package registry?)")
    script = folder / "read.cjs"
    shutil.copyfile(Path(__file__).with_name("read.cjs"), script)
    argv = [str(programs[0]), str(script)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        yield NodeReaders(process)
        assert process.stdin
        process.stdin.close()
        process.wait(10)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=tidy_files(), wanted=st.dictionaries(st.sampled_from(KEYS), any_values, min_size=1))
def test_node_reads_the_intended_values_and_all_others_as_before(
    node: NodeReaders, content: bytes, wanted: dict[str, str]
) -> None:
    document = EnvDocument.parse(content)
    changes = {key: value for key, value in wanted.items() if key in document.values}
    try:
        after = document.replaced(changes)
    except UnsafeValueError:
        return
    before = node.read(content)
    for reader, values in node.read(after.to_bytes()).items():
        if reader in ("node", "vite") and document.text.startswith(BOM):
            continue  # Node's own parser does not see the first key then; see the test below
        assert values == {**before[reader], **changes}, reader


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=any_values)
def test_every_value_that_is_not_refused_reaches_every_reader(node: NodeReaders, value: str) -> None:
    try:
        after = EnvDocument.parse(b"FIRST=1\r\nKEY=old # note\r\nLAST=2").replaced({"KEY": value})
    except UnsafeValueError:
        return
    for reader, values in node.read(after.to_bytes()).items():
        assert values == {"FIRST": "1", "KEY": value, "LAST": "2"}, reader


def test_the_readers_disagree_where_we_say_so(node: NodeReaders) -> None:
    readings = node.read(b"\xef\xbb\xbfFIRST=1\nHASH=a#b\nDOLLAR='a$FIRST'\n")
    assert readings["dotenv"]["HASH"] == "a"
    assert readings["next"]["DOLLAR"] == "a1"
    if "node" in readings:
        assert "FIRST" not in readings["node"]
