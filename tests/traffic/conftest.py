from datetime import timedelta

import pytest

from llmhub.traffic import Export
from tests.traffic.helpers import MONDAY, Read, play, read


@pytest.fixture(scope="session")
def day() -> list[Export]:
    """One working day of the default world, about 15 000 calls."""
    return play(MONDAY, MONDAY + timedelta(days=1), rate=0.15, max_wait=600.0)


@pytest.fixture(scope="session")
def spans(day: list[Export]) -> list[Read]:
    return list(read(day))
