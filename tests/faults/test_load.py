"""Load without a fault: what the others are compared with."""

from __future__ import annotations

import time

from tests.faults.accounts import check, resident_bytes
from tests.faults.conftest import Restartable, Soak
from tests.faults.load import Load

MORE_MEMORY_BYTES = 150 << 20
STEPS = 20


def test_steady_load_is_stored_once_and_memory_stays_flat(restartable: Restartable, service: str, soak: Soak) -> None:
    memory = []
    with Load(restartable.address, service, seed=soak.seed) as load:
        for _ in range(STEPS):
            time.sleep(soak.pick(6, 600) / STEPS)
            memory.append(resident_bytes(restartable.hub))
            soak.report(f"{len(load.acknowledged)} spans acknowledged, {memory[-1] >> 20} MiB resident")
    assert not load.refusals
    assert load.slowest < 5
    check(restartable.hub, load.acknowledged, service)
    # The engine's caches and threads have come up within the first quarter.
    assert max(memory[STEPS // 4 :]) < memory[STEPS // 4] + MORE_MEMORY_BYTES, [each >> 20 for each in memory]
