"""Runs what is measured on PostgreSQL and prints the table; exit status 1 when a target is missed."""

import logging
import sys
from itertools import chain

import pytest

from bench.figures import report
from bench.postgres import counts, size, takeover, throughput
from tests import postgres

THEMES = (counts, size, throughput, takeover)
AS_INSTALLED = ()  # the tests' server is faster: it would lose commits in a power cut


def main() -> int:
    logging.disable()  # the Bot API server says of each worker that is killed that its connection was cut
    try:
        with postgres.server(AS_INSTALLED) as server:
            return report(chain.from_iterable(theme.figures(server) for theme in THEMES))
    except pytest.skip.Exception as missing:
        print(f"nothing is measured: {missing}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
