"""The question about a target's own rows: both values of every differing column, in lines that fit a small screen."""

from __future__ import annotations

from tekup_migrate.phases.conflicts import conflict_question, side_by_side
from tekup_migrate.postgres.outcome import (
    ColumnDifference,
    DifferenceKind,
    NaturalKeyClash,
    RowDifference,
    TableMove,
    TableOutcome,
    Tally,
)
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.steps import Verdict

LONG = "the same words again and again, and then "


def changed(*columns: ColumnDifference) -> RowDifference:
    return RowDifference(DifferenceKind.CHANGED, (("id", "7"),), columns)


def test_both_values_stand_side_by_side_where_they_part() -> None:
    lines = side_by_side([changed(ColumnDifference("body", LONG + "new", LONG + "old\nlines"))])
    assert lines[1].split() == ["source", "target"]
    assert lines[2] == "id = 7: different in body"
    assert lines[3].index("…") == lines[1].index("source")
    assert lines[3].rindex("…") == lines[1].index("target")
    assert lines[3].split("…")[1].strip().endswith("then new")
    assert lines[3].endswith("then old⏎lines")


def test_what_is_not_there_null_and_a_difference_out_of_sight_are_told_apart() -> None:
    lines = side_by_side(
        [
            changed(ColumnDifference("a", None, ""), ColumnDifference("b", "x" * 120, "x" * 120)),
            RowDifference(DifferenceKind.ONLY_TARGET, (("id", "8"),), (ColumnDifference("a", None, None),)),
            RowDifference(DifferenceKind.ONLY_SOURCE, (("id", "9"),), (ColumnDifference("a", "v", None),)),
        ]
    )
    words = [line.split() for line in lines]
    assert ["a", "(NULL)"] in words
    assert words[4][2:] == ["differs", "further", "on"]
    assert ["a", "–", "(NULL)"] in words
    assert ["a", "v", "–"] in words


def test_many_rows_and_columns_fit_a_screen_of_80_columns() -> None:
    columns = tuple(ColumnDifference(f"a_rather_long_column_name_{n}", "s" * 120, "t" * 120) for n in range(30))
    samples = [changed(*columns) for _ in range(20)]
    lines = side_by_side(samples)
    assert max(map(len, lines)) <= 70
    assert lines.count("  … and 26 more columns") == 5
    assert len(lines) < 60


def test_a_choice_that_a_taken_natural_key_makes_useless_says_so() -> None:
    clash = NaturalKeyClash("files_path_key", ("path",), 1, ("(p7) is 7 on the source and 9001 on the target",))
    move = TableMove(Relation("public", "files"), Relation("public", "files"))
    outcome = TableOutcome(move, Verdict.DIFFERS, Tally(only_target=1), (), (clash,), (), False, 0.1)
    question = conflict_question(outcome)
    assert "(p7) is 7 on the source and 9001 on the target" in question.text
    told = {option.id: option.consequence.startswith("Nothing would be written") for option in question.options}
    assert told == {"stop": False, "target": True, "newest": True, "source": False}
    free = conflict_question(TableOutcome(move, Verdict.DIFFERS, Tally(only_target=1), (), (), (), False, 0.1))
    assert not any(option.consequence.startswith("Nothing would") for option in free.options)
