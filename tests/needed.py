"""Programs that tests need beyond Python: without one its tests are skipped, but in CI they fail."""

import os
from pathlib import Path

import pytest

# Both at once: npm removes what an install does not name.
NPM_INSTALL = "npm install --no-save axe-core @copilotkit/aimock"


def need(path: Path, remedy: str) -> Path:
    """Return the path; where nothing is there skip the test, or fail it in CI."""
    if path.exists():
        return path
    missing = f"{path} is missing: {remedy}"
    if "CI" in os.environ:
        pytest.fail(missing)
    pytest.skip(missing)
