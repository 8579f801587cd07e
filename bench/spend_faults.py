"""Runs that buy at the hosts' loopback services through faults, kills and webhooks, and what was bought in the end.

    python bench/spend_faults.py [--runs N] [--seed S] [--host fal|replicate] [--moment NAME] [--out FILE]

Every run has a workspace, a service and an agreement of its own, and workers in processes of their own that are killed
with SIGKILL (tests/support/mortal.py has the moments, tests/support/spend_trials.py the rest). A run that breaks a rule
prints its seed; `--runs 1 --seed S --host H` does it alone. Needs POSIX.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from support.hosts.faults import KINDS
from support.mortal import NAMED, Nursery
from support.spend_trials import AT_RANDOM, CREATE_FAULTS, Account, Trial

HOSTS = ("replicate", "fal")
CALLED_BACK = {"late_webhook", "duplicate_webhook"}


def main() -> int:
    """Run the campaign, print its table, and return how many runs broke a rule."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--runs", type=int, default=500, help="for each host")
    reader.add_argument("--seed", type=int, default=1, help="of the first run; each later one has the next")
    reader.add_argument("--host", choices=HOSTS, help="both otherwise")
    reader.add_argument("--moment", choices=NAMED, help="kill the first worker of every run there")
    reader.add_argument("--out", type=Path, help="write the table here too")
    given = reader.parse_args()
    began = time.monotonic()
    accounts: dict[str, list[Account]] = {}
    for host in [given.host] if given.host else HOSTS:
        accounts[host] = campaign(host, range(given.seed, given.seed + given.runs), given.moment)
    table = tabled(accounts)
    print(f"\n{table}\nin {time.monotonic() - began:.0f} s")
    if given.out:
        given.out.write_text(table, encoding="utf-8")
    return sum(bool(one.wrong or one.lost) for several in accounts.values() for one in several)


def campaign(host: str, seeds: Sequence[int], moment: str | None) -> list[Account]:
    """One run for each seed."""
    nursery, accounts = Nursery(), []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            account = Trial(nursery, host, seed, Path(folder) / "home", moment).run()
        accounts.append(account)
        for sentence in (*account.wrong, *account.lost):
            print(f"--host {host} --seed {seed}: {sentence}", flush=True)
        if len(accounts) % 50 == 0:
            print(
                f"{host}: {len(accounts)} runs, {sum(bool(one.wrong or one.lost) for one in accounts)} wrong",
                flush=True,
            )
    nursery.close()
    return accounts


def tabled(accounts: dict[str, list[Account]]) -> str:
    """What was tried and what was counted, in Markdown, a column for each host."""
    columns = [figures(several) for several in accounts.values()]
    lines = [f"| | {' | '.join(accounts)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(column[name] for column in columns)} |" for name in columns[0]]
    return "\n".join(lines) + "\n"


def figures(accounts: list[Account]) -> dict[str, str]:
    """The rows of one host."""
    faults = sum((one.faults for one in accounts), Counter())
    kills = sum((one.kills for one in accounts), Counter())
    bought = sum((one.purchases for one in accounts), Counter())
    doubts = sum((one.doubts for one in accounts), Counter())
    ended = Counter(one.state for one in accounts)
    on_create = {kind: count for (operation, kind), count in faults.items() if operation == "create"}
    rows = {
        "runs": len(accounts),
        "of them trainings / decks": f"{sum(one.kind == 'train' for one in accounts)} / "
        f"{sum(one.kind == 'draw' for one in accounts)}",
        "workers started": sum(one.shifts for one in accounts),
        "workers killed": kills.total(),
        **{f"- {moment}": kills[moment] for moment in (*NAMED, AT_RANDOM)},
        "faults met by a create": sum(on_create.values()),
        "- of them with the create taken": sum(n for kind, n in on_create.items() if KINDS[kind].arrived),
        **{f"- `{kind}`": on_create.get(kind, 0) for kind in CREATE_FAULTS},
        **{
            f"faults met by: {operation}": sum(n for (on, _), n in faults.items() if on == operation)
            for operation in ("upload", "poll", "list", "result", "download")
        },
        "webhooks delivered": sum(one.hooks for one in accounts),
        "runs succeeded / failed / other": f"{ended['succeeded']} / {ended['failed']} / "
        f"{len(accounts) - ended['succeeded'] - ended['failed']}",
        "purchases confirmed (submitted or settled)": bought["submitted"] + bought["settled"],
        "creates counted for these": sum(one.creates for one in accounts) - doubts[1],
        "purchases void, no create counted": bought["void"],
        "in doubt at the end": bought["unknown"],
        "- of them with no create / one create": f"{doubts[0]} / {doubts[1]}",
        "purchases with two creates": sum(one.twice for one in accounts),
        "LoRAs and pictures made, all whole": sum(one.files for one in accounts),
        "files, rows or databases lost": sum(len(one.lost) for one in accounts),
    }
    return {name: str(value) for name, value in rows.items()}


if __name__ == "__main__":
    raise SystemExit(main())
