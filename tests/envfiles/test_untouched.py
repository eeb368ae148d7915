"""All of a file but what was rewritten: the same before and after, and kept when only ours is put back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.document import EnvDocument
from tekup_migrate.envfiles.errors import EnvFileError
from tekup_migrate.envfiles.former import FormerFile
from tekup_migrate.envfiles.places import FilePlaces, env_places, text_places
from tekup_migrate.envfiles.successor import Successor
from tekup_migrate.envfiles.untouched import put_back, rest_of
from tests.envfiles.strategies import KEYS, any_values, tidy_files, wild_files

OLD, NEW = "oldrefoldrefoldrefol", "newrefnewrefnewrefne"
SUCCESSOR = Successor(ref=OLD, words={OLD: NEW}, values={}, keys={}, url=lambda value: None)
PATH = Path(__file__)


def rewritten(file: FilePlaces, chosen: set[str]) -> FormerFile:
    """Return a file's rewrite as it would be kept, without a file."""
    change = file.rewrite(chosen)
    return FormerFile(
        PATH, PATH, None, 0o600, change.before, change.after, file.env, keys=change.keys, stretches=change.stretches
    )


mentions = st.sampled_from([b"", b"# was " + OLD.encode(), b"#delta=https://" + OLD.encode() + b".supabase.co"])


@example(content=b"A = 0", comment=b"", wanted={"A": ""}, taken={0})
@given(
    content=st.one_of(tidy_files(), wild_files()),
    comment=mentions,
    wanted=st.dictionaries(st.sampled_from((*KEYS, "KEY", "A")), any_values, min_size=1),
    taken=st.sets(st.integers(0, 9)),
)
def test_only_the_values_and_comments_that_were_chosen_change(
    content: bytes, comment: bytes, wanted: dict[str, str], taken: set[int]
) -> None:
    content = content + b"\n" + comment
    document = EnvDocument.parse(content)
    changes: dict[str, Secret | str] = {key: value for key, value in wanted.items() if key in document.values}
    try:
        file = env_places("x", PATH, content, wanted=changes, successor=SUCCESSOR)
        chosen = {place.id for index, place in enumerate(file.places) if index in taken}
        former = rewritten(file, chosen)
    except EnvFileError:
        return
    read = EnvDocument.parse(former.written).values
    assert read == {**document.values, **{p.key: p.value for p in file.places if p.id in chosen and p.key}}
    assert rest_of(former.content, former) == rest_of(former.written, former)
    assert put_back(former, former.written) == (former.content, ())
    assert put_back(former, former.content)[0] == former.content


LINES = st.lists(st.sampled_from(["", "a", f"x {OLD} y", OLD, f"{OLD}x", f"blå {OLD}, {OLD}"]), max_size=6)


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n", "\r"]), taken=st.sets(st.integers(0, 5)))
def test_only_the_lines_that_were_chosen_change(lines: list[str], end: str, taken: set[int]) -> None:
    content = end.join(lines).encode("latin-1")
    file = text_places("x", PATH, content, SUCCESSOR)
    former = rewritten(file, {f"x#{index + 1}" for index in taken})
    expected = [
        line if index not in taken or line == f"{OLD}x" else line.replace(OLD, NEW) for index, line in enumerate(lines)
    ]
    assert former.written == end.join(expected).encode("latin-1")
    assert put_back(former, former.written) == (content, ())


def test_what_somebody_edited_since_stays_and_is_named() -> None:
    content = f"A='1' # one\nB=2\n# at {OLD}\n#also {OLD}\nC=3\n".encode()
    file = env_places("x", PATH, content, wanted={"A": "10", "B": "20"}, successor=SUCCESSOR)
    former = rewritten(file, {place.id for place in file.places})
    now = former.written.replace(b"B=20", b"B=mine").replace(f"# at {NEW}".encode(), b"# mine") + b"D=4\n"
    merged, left = put_back(former, now)
    assert merged == f"A='1' # one\nB=mine\n# mine\n#also {OLD}\nC=3\nD=4\n".encode()
    assert left == ("B", "comment 2")
    assert rest_of(now, former) != rest_of(content, former)


def test_a_key_without_a_value_gets_one_and_loses_it_again() -> None:
    file = env_places("x", PATH, b"export A # x\nB", wanted={"A": "1", "B": "2"}, successor=SUCCESSOR)
    former = rewritten(file, {place.id for place in file.places})
    assert former.written == b"export A=1 # x\nB=2"
    assert rest_of(former.content, former) == rest_of(former.written, former)
    assert put_back(former, former.written) == (former.content, ())
    assert put_back(replace(former, keys=("B",)), former.written)[0] == b"export A=1 # x\nB"
