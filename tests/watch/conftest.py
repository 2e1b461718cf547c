"""Fixtures of the tests in a browser."""

from tests.playground.browsing import browser
from tests.watch.seeded import bot

__all__ = ["bot", "browser"]
