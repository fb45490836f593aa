"""A federation of real processes for a test, gone with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Federation


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    with Federation(tmp_path) as running:
        yield running
