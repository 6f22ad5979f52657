"""Files of SQL, with what their placeholders stand for."""

from __future__ import annotations

import pytest

from storage.sql import expand, fill, split, statement, statements


def test_a_fragment_may_have_fragments_and_leaves_values_to_be_filled_in() -> None:
    shared = {"outer": "(${inner} + ${value})", "inner": "1"}
    assert expand("SELECT ${outer}", shared) == "SELECT (1 + ${value})"


def test_a_value_stands_there_as_it_is_whatever_it_holds() -> None:
    assert fill("SELECT '${tenant}', ${tenant}", {"tenant": "${price} ${tenant} \\1"}) == (
        "SELECT '${price} ${tenant} \\1', ${price} ${tenant} \\1"
    )
    found = statement("pricing/record", run=1, block=2, prices="${run}", calls=3)
    assert found.endswith("VALUES (1, 2, '${run}', 3)")


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="sweep"):
        statement("sweep/record", database="llm", block=1, repeats=0)


def test_a_value_must_not_have_the_name_of_a_fragment() -> None:
    with pytest.raises(ValueError, match="price"):
        statement("pricing/note", database="llm", run=1, since=0, batch=1, price="1")


def test_a_value_does_not_end_a_statement() -> None:
    assert split("SELECT ${a};\nSELECT 2 ;  \n") == ["SELECT ${a}", "SELECT 2"]
    (only,) = statements("sweep/record", database="llm", sweep="0;\n", block=1, repeats=0)
    assert "0;\n" in only
