"""A turn in a chat of the test's database."""

import pytest

from tests.llm.calling import Place
from tests.store.instance import Instance


@pytest.fixture
def place(instance: Instance) -> Place:
    return Place(instance, instance.start("hello"))
