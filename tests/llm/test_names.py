"""The names of tools from MCP servers: a model accepts them, and no two are alike."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tgbot.agents.llm.tools.names import distinct

NAMES = st.sampled_from(["a", "b", "a_b", "a.b", "ä", "", "x" * 70, "x" * 64, "a_a"])


def test_a_tool_keeps_its_name_where_it_is_alone() -> None:
    assert distinct([("fs", "read"), ("web", "search")], {"remember"}) == {
        ("fs", "read"): "read",
        ("web", "search"): "search",
    }


def test_tools_of_one_name_all_get_the_names_of_their_servers() -> None:
    assert distinct([("web", "search"), ("fs", "search"), ("fs", "recall")], {"recall"}) == {
        ("web", "search"): "web_search",
        ("fs", "search"): "fs_search",
        ("fs", "recall"): "fs_recall",
    }


def test_what_models_do_not_accept_is_replaced() -> None:
    assert distinct([("my server", "fs.read"), ("other", "fs/read"), ("other", "größe")], ()) == {
        ("my server", "fs.read"): "my_server_fs_read",
        ("other", "fs/read"): "other_fs_read",
        ("other", "größe"): "gr__e",
    }


@given(st.lists(st.tuples(NAMES, NAMES), unique=True, max_size=8), st.sets(NAMES, max_size=3))
def test_no_two_tools_have_the_same_name(tools: list[tuple[str, str]], taken: set[str]) -> None:
    names = list(distinct(tools, taken).values())
    assert len(names) == len(tools)
    assert len({*names, *taken}) == len(tools) + len(taken)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
