"""JSON text is cut at its own commas, however deep or broken what stands between them is."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgbot.telegram.split import elements, members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,  # with the default of 100 they take ten times as long, and find no more
)

DEEP = "[" * 5_000 + "]" * 5_000
LAYOUTS = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 1])})


@given(st.lists(VALUES), LAYOUTS)
def test_the_elements_of_an_array_are_those_that_json_finds(
    values: list[object], layout: dict[str, Any]
) -> None:
    text = json.dumps(values, **layout)
    assert [json.loads(element) for element in elements(text)] == values


@given(st.dictionaries(st.text(), VALUES), LAYOUTS)
def test_the_members_of_an_object_are_those_that_json_finds(
    values: dict[str, object], layout: dict[str, Any]
) -> None:
    text = json.dumps(values, **layout)
    assert {name: json.loads(member) for name, member in members(text).items()} == values


@pytest.mark.parametrize("bad", [DEEP, "9" * 5_000, "{]", "\x00", "nonsense", "", '"\\'])
def test_one_that_no_json_can_be_keeps_its_neighbours_whole(bad: str) -> None:
    if bad == '"\\':
        bad += '""'
    assert elements(f'[{{"a":1}},{bad},"b"]') == ['{"a":1}', bad, '"b"']


@pytest.mark.parametrize("text", ["", "[", "]", "{}", "5", "[1]]", "[[1]", '["', "[1] x", "[" * 100_000])
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no array|brackets"):
        elements(text)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"a"}', "{5:6}", '{"a":1,"a":2}', "{" + DEEP + ":1}", "{:}"]
)
def test_what_is_no_object_or_ambiguous_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        members(text)


@pytest.mark.parametrize("unit", ['\\"', '"', "\\", "[", '"\\', "[]", '{"a":'])
def test_a_long_text_is_cut_in_one_walk(unit: str) -> None:
    """Looked at again from each of its quotes, this would take hours."""
    with contextlib.suppress(ValueError):
        elements("[" + unit * 1_000_000 + "]")
