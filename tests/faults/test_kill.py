"""SIGKILL at random moments under load: nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import random
import time

from tests.faults.accounts import check
from tests.faults.conftest import Restartable, Soak
from tests.faults.load import Load, more


def test_a_hub_that_is_killed_again_and_again_loses_and_doubles_nothing(
    restartable: Restartable, service: str, soak: Soak, rng: random.Random
) -> None:
    kills = soak.pick(20, 200)
    with Load(restartable.address, service, seed=soak.seed) as load:
        for number in range(1, kills + 1):
            # Sometimes in the middle of the recovery from the last one, mostly in the middle of the work.
            if rng.random() < 0.3:
                time.sleep(rng.random())
            else:
                assert more(load, rng.randint(1, 40))
            restartable.kill()
            restartable.start()
            if number % 20 == 0:
                soak.report(f"{number} kills, {len(load.acknowledged)} spans acknowledged")
    assert not load.unexpected
    assert len(load.acknowledged) > 50 * kills
    check(restartable.hub, load.acknowledged, service)
