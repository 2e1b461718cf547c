"""Fixtures of the tests in a browser."""

from tests.playground.browsing import browser
from tests.watch.seeded import bot
from tests.workers.conftest import own_server, url

__all__ = ["bot", "browser", "own_server", "url"]
