"""A turn in a chat of the test's database."""

import pytest

from tests.llm.calling import StandIn
from tests.store.instance import Instance


@pytest.fixture
def turn(instance: Instance) -> StandIn:
    return StandIn(instance, instance.start("hello"))
