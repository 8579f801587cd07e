"""Nothing is bought twice: workers die at every point of a purchase, hosts answer wrongly, and the creates are counted.

`bench/spend_faults.py` does the same a thousand times; docs/spending.md has what came of it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosts.faults import Fault
from support.mortal import NAMED, Nursery
from support.spend_trials import Account, Trial

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="workers are forked and killed with SIGKILL"),
]
HOSTS = ("replicate", "fal")
KILLED = list(zip(NAMED, itertools.cycle(HOSTS), strict=False))
SEEDED = list(itertools.product(HOSTS, range(1, 5)))


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def honest(account: Account) -> Account:
    """The rules that a trial checks all hold."""
    assert (account.wrong, account.lost, account.twice) == ([], [], 0), f"{account.provider}, seed {account.seed}"
    return account


@pytest.mark.parametrize(("moment", "provider"), KILLED)
def test_a_worker_that_is_killed_there_leaves_one_create_or_a_doubt_that_is_told(
    moment: str, provider: str, nursery: Nursery, tmp_path: Path
) -> None:
    account = honest(Trial(nursery, provider, 1, tmp_path / "home", moment).run())
    assert account.kills == {moment: 1}
    assert account.creates <= 1
    if provider == "replicate":
        assert (account.state, account.creates) == ("succeeded", 1), "its list tells what became of every request"
    if account.state != "succeeded":
        assert account.purchases == {"unknown": 1}


@pytest.mark.parametrize(("provider", "seed"), SEEDED)
def test_whatever_goes_wrong_what_is_confirmed_was_bought_once_and_is_whole(
    provider: str, seed: int, nursery: Nursery, tmp_path: Path
) -> None:
    honest(Trial(nursery, provider, seed, tmp_path / "home").run())


@pytest.mark.parametrize("kind", ["html_after_accept", "drop_after_accept"])
def test_a_picture_in_doubt_is_fetched_by_the_same_call_once_the_host_tells_of_it(
    kind: str, nursery: Nursery, tmp_path: Path
) -> None:
    trial = Trial(nursery, "fal", 1, tmp_path / "home")
    trial.kind, trial.planned = "draw", [Fault(kind)]
    account = honest(trial.run())
    assert (account.state, account.purchases, account.creates) == ("succeeded", {"settled": 2}, 2)
    assert account.files == 2
