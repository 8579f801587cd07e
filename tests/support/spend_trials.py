"""One run of the campaign against spending twice: agreed to, bought through faults and kills, and then held to account.

A trial follows from its seed, but for how a kill from outside or a late webhook falls into the work of a process.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from support.datasets import TRIGGER, ready_dataset
from support.hosts.exchange import Request
from support.hosts.fal import Fal
from support.hosts.faults import Fault
from support.hosts.jobs import Job
from support.hosts.replicate import Replicate
from support.hosts.service import Create, serving
from support.mortal import IN_DOUBT, MOMENTS, NAMED, STRIKES, Nursery, Shift, engine

from loradeck.engines import tensor_file
from loradeck.engines.base import Cost
from loradeck.engines.fal.host import FalHost
from loradeck.engines.registry import Registry
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.server import webhooks
from loradeck.state import runs, spend
from loradeck.state.files import new_id, sha256_file
from loradeck.state.records import (
    CaptionRecord,
    ImageRecord,
    LoraRecord,
    PurchaseRecord,
    RunRecord,
    VisualRecord,
)
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, Estimate, RenderArgs, RunKind, TrainingPlan
from loradeck.tools.render_deck_visuals.tool import TOOL as RENDER
from loradeck.tools.spending.agreement import Agreed, Offer, Quoted, agree, commit
from loradeck.tools.start_training.plan import train_spec
from loradeck.tools.start_training.snapshot import read, take
from loradeck.tools.workbench import Workbench

BASE = "flux1-dev"
IMAGES, PICTURES = 4, 2
STEPS = 500
MOST_SHIFTS = 5
STORMY_SHIFTS = 3
"""So many workers meet what is left of the faults, and may be killed; those after them find a host that is well."""
AT_RANDOM = "at a random time"
RANDOM_SECONDS = 0.6
"""Within this time nearly every worker comes to its end."""
CREATE_FAULTS = (
    "drop_before_read", "drop_before_accept", "drop_after_accept", "drop_in_reply", "hang_before_accept",
    "hang_after_accept", "throttled", "refused", "no_credit", "bad_gateway", "bad_gateway_after_accept",
    "server_error", "server_error_after_accept", "html", "html_after_accept", "truncated_json", "lag",
    "unknown_status", "failed", "aborted", "gone_while_queued", "charged_422", "duplicate_webhook", "late_webhook",
)  # fmt: skip
FREE_FAULTS = ("drop_before_read", "drop_after_accept", "throttled", "bad_gateway", "server_error", "html")
RESULT_FAULTS = ("drop_before_read", "drop_in_reply", "truncated", "ignored_range", "bad_gateway")
ELSEWHERE = {
    "upload": FREE_FAULTS,
    "list": (*FREE_FAULTS, "drop_in_reply"),
    "poll": (*FREE_FAULTS, "drop_in_reply"),
    "result": FREE_FAULTS,
    "download": RESULT_FAULTS,
}
"""What goes wrong with requests that cost nothing, by operation."""
KEYS = {"fal": "FAL_KEY", "replicate": "REPLICATE_API_TOKEN"}
ADDRESSES = {"fal": "LORADECK_FAL_URL", "replicate": "REPLICATE_BASE_URL"}
HOOKS = "LORADECK_WEBHOOK_URL"


class Queued(Exception):
    """A run was queued; in a trial its workers are started one by one."""


@dataclass
class DeadlyFal(Fal):
    """fal, which can have its client killed around the moment when it takes a request."""

    strike: Callable[[str], None] = lambda when: None

    def accept(self, job: Job, request: Request) -> None:
        self.strike("before")
        super().accept(job, request)
        self.strike("after")


@dataclass
class DeadlyReplicate(Replicate):
    """Replicate, which can have its client killed around the moment when it takes a request."""

    strike: Callable[[str], None] = lambda when: None

    def accept(self, job: Job, request: Request) -> None:
        self.strike("before")
        super().accept(job, request)
        self.strike("after")


SERVICES: dict[str, type[Any]] = {"fal": DeadlyFal, "replicate": DeadlyReplicate}


@dataclass
class Account:
    """What a trial came to; `wrong` are sentences on creates, costs and workers, `lost` on files and rows."""

    provider: str
    kind: str
    seed: int
    state: str = ""
    creates: int = 0
    purchases: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    hooks: int = 0
    doubts: Counter[int] = field(default_factory=Counter)
    charged_usd: float = 0.0
    files: int = 0
    shifts: int = 0
    twice: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """These variables and no webhook address but the one among them, until the block ends."""
    before = {name: os.environ.get(name) for name in (*values, HOOKS)}
    os.environ.pop(HOOKS, None)
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def listening(home: Path, service: Any) -> Iterator[str]:
    """A real receiver of webhooks over a workspace; its address."""
    known: Any = {"fal": FalHost(lambda _: None), "replicate": ReplicateHost(sleep=lambda _: None)}
    with webhooks.Receiver(home, 0, known, now=service.clock) as receiver:
        thread = threading.Thread(target=lambda: receiver.serve_forever(poll_interval=0.01), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{receiver.server_port}"
        finally:
            receiver.shutdown()
            thread.join()


class Trial:
    """One run on a service of its own. With `moment` its first worker dies there; else chance says.

    A caller may set `kind` (train, draw) and `planned`, the only faults that there will be then.
    """

    def __init__(self, nursery: Nursery, provider: str, seed: int, home: Path, moment: str | None = None) -> None:
        """`seed` decides everything but what the clock of the machine does; `home` is a folder that is not there."""
        self.nursery, self.provider, self.home = nursery, provider, home
        self.chance = random.Random(f"{provider} {seed}")
        self.kind = "train" if self.chance.random() < 0.7 or moment else "draw"
        self.account = Account(provider, self.kind, seed)
        self.named, self.planned = moment, list[Fault]()
        self.service: Any = SERVICES[provider]()
        self.store = Store(home)
        self.run_id = ""
        self.moments: list[str | None] = []

    def run(self) -> Account:
        """From the agreement to the end, and what it came to."""
        with ExitStack() as stack:
            stack.enter_context(serving(self.service))
            given = {KEYS[self.provider]: self.service.key, ADDRESSES[self.provider]: self.service.base_url}
            stack.enter_context(environment(**given))
            self.run_id = self._trained() if self.kind == "train" else self._drawn()
            before = self._standing()
            self.moments = self._moments()
            if self.chance.random() < 0.4:
                given[HOOKS] = stack.enter_context(listening(self.home, self.service))
            self.service.faults.extend(self._faults(called_back=HOOKS in given))
            self._work_off(given)
            self.service.send_late_hooks()
            self.service.wait_for_hooks()
            if not self._over():
                self._take_up()
                self._shift(None, given)
            self._hold_to_account(before)
        self.store.close()
        return self.account

    # --------------------------------------------------------------- what was agreed to

    def _trained(self) -> str:
        """A queued training that a person agreed to, by its quote."""
        ready_dataset(self.store, IMAGES)
        run_id = new_id("run")
        images = self.store.where(ImageRecord)
        captions = {one.image_id: one.text for one in self.store.where(CaptionRecord)}
        sources = [(Path(one.original_path), captions[one.id], one.sha256) for one in images]
        pairs = take(self.store.workspace.run(run_id) / "dataset", sources)
        plan = TrainingPlan(
            engine=self.provider, base_model=BASE, images=IMAGES, steps=STEPS, passes_over_set=1.0, rank=16,
            alpha=16.0, learning_rate=4e-4, batch_size=1, resolution=512, seed=7, checkpoint_every=STEPS,
            sample_every=STEPS, sample_prompts=[],
        )  # fmt: skip
        told = {"trigger": TRIGGER, "profile": "style", "advanced": {}}
        asked = train_spec(
            plan, run_id=run_id, run_dir=self.store.workspace.run(run_id), name="things", warm_start=None, cache=None,
            **told,
        )  # fmt: skip
        agreed = self._agreed(engine(self.provider).estimate(asked))
        spec = {
            **told,
            "plan": plan.model_dump(mode="json"),
            "estimate": Estimate(minutes=2).model_dump(mode="json"),
            "preview": False,
            "parent_lora_id": None,
            "pairs": [pair.as_row() for pair in pairs],
            "call": run_id,
        }
        columns = {"name": "things", "engine": self.provider, "base_model": BASE, "fingerprint": "f" * 64}
        with self.store.transaction():
            runs.enqueue(self.store, RunKind.TRAIN, spec, run_id=run_id, steps=STEPS, **columns)
            commit(self.store, agreed, run_id)
        return run_id

    def _agreed(self, cost: Cost) -> Agreed:
        offer = Offer("start_training", self.provider, "a small training", {"steps": STEPS}, cost)
        quoted = agree(self._bench(), offer, None, None)
        assert isinstance(quoted, Quoted)
        agreed = agree(self._bench(), offer, quoted.quote_id, 40.0)
        assert isinstance(agreed, Agreed)
        return agreed

    def _drawn(self) -> str:
        """A queued deck of some pictures that a person agreed to, by its quote."""
        slides = [{"name": f"slide_{number}", "prompt": f"a fox, number {number}"} for number in range(PICTURES)]
        deck = DeckSpec.model_validate({"title": "foxes", "width": 256, "height": 256, "slides": slides})
        asked: dict[str, Any] = {
            "deck": deck, "engine": self.provider, "base_model": BASE, "loras": [], "formats": ["png"]
        }  # fmt: skip
        quoted: Any = RENDER.handler(RenderArgs(**asked), self._bench())
        try:
            RENDER.handler(RenderArgs(**asked, quote_id=quoted.quote_id, max_cost_usd=10), self._bench())
        except Queued as queued:
            return str(queued)
        raise AssertionError("nothing was queued")

    def _bench(self) -> Workbench:
        def launch(run_id: str) -> None:
            raise Queued(run_id)

        return Workbench(self.store, Registry({self.provider: lambda: engine(self.provider)}), launch)

    # --------------------------------------------------------------- what goes wrong

    def _faults(self, called_back: bool) -> list[Fault]:
        """Some on the creates and some on what is free; seldom none."""
        chance = self.chance
        if self.planned:
            return self.planned
        planned = [Fault("drop_after_accept") for moment in self.moments if moment in IN_DOUBT]
        if self.named is not None:
            return planned
        if called_back and chance.random() < 0.6:
            planned.append(Fault(chance.choice(("late_webhook", "duplicate_webhook"))))
        on_create = chance.choices((0, 1, 2), (3, 5, 2))[0]
        planned += [self._fault(chance.choice(CREATE_FAULTS), "create") for _ in range(on_create)]
        for _ in range(chance.choices((0, 1, 2, 3), (4, 3, 2, 1))[0]):
            operation = chance.choice(list(ELSEWHERE))
            planned.append(self._fault(chance.choice(ELSEWHERE[operation]), operation))
        return planned

    def _fault(self, kind: str, operation: str) -> Fault:
        again = kind in {"throttled", "drop_before_read", "bad_gateway"} and operation != "create"
        return Fault(
            kind,
            on=operation,
            times=self.chance.randint(1, 3) if again else 1,
            retry_after=self.chance.choice((None, 1.0, 20.0)) if kind == "throttled" else None,
            status=self.chance.choice((400, 403, 422)) if kind == "refused" else 0,
        )

    def _moments(self) -> list[str | None]:
        """How each of the first workers dies, if it does."""
        if self.named is not None or self.planned:
            return [self.named]
        many = self.chance.choices((0, 1, 2), (2, 6, 2))[0]
        return [self.chance.choice(NAMED) if self.chance.random() < 0.6 else AT_RANDOM for _ in range(many)]

    # --------------------------------------------------------------- the work

    def _work_off(self, given: dict[str, str]) -> None:
        """Workers one after the other, as a restarted loradeck and a person who resumes would have them."""
        moments = self.moments
        while True:
            self.account.shifts += 1
            stormy = self.account.shifts <= STORMY_SHIFTS
            if not stormy:
                self.service.faults.clear()
            self._shift(moments.pop(0) if moments and stormy else None, given)
            assert self.service.quiet(), "the service is not done with what was sent"
            if not stormy or self.chance.random() < 0.3:
                self.service.advance()  # work at a host goes on whether or not anybody asks
            if self.chance.random() < 0.3:
                self.service.send_late_hooks()
            self.service.wait_for_hooks()
            if self.account.shifts == MOST_SHIFTS or self._over():
                return
            self._take_up()

    def _shift(self, moment: str | None, given: dict[str, str]) -> None:
        nth = self.chance.randint(1, PICTURES) if self.kind == "draw" else 1
        delay = self.chance.uniform(0.0, RANDOM_SECONDS)
        inside = moment if moment in MOMENTS else None
        self._arm(STRIKES.get(moment or "", ""), nth)
        self.nursery.start(Shift(self.home, self.run_id, self.provider, given, inside, nth))
        if moment == AT_RANDOM and not self.nursery.ended(delay):
            self.nursery.kill()
        status = self.nursery.join()
        if status == -signal.SIGKILL and moment:
            self.account.kills[moment] += 1
        elif status:
            self.account.wrong.append(f"a worker ended with status {status}")
        self._arm("", 0)

    def _arm(self, when: str, nth: int) -> None:
        """Have the service kill its client around the `nth` request that it takes."""
        left = nth

        def strike(at: str) -> None:
            nonlocal left
            left -= at == when
            if at == when and left == 0:
                self.nursery.kill()

        self.service.strike = strike

    def _over(self) -> bool:
        """Whether nothing more would come of it."""
        run = runs.get(self.store, self.run_id)
        bought = spend.purchases(self.store, self.run_id)
        paid = all(one.state == "settled" for one in bought)
        at_host = any(one.state in {"submitted", "unknown"} for one in bought)
        return (run.state == "succeeded" and not at_host) or bool(run.state == "failed" and bought and paid)

    def _take_up(self) -> None:
        """What the next start of loradeck does with a run whose worker is gone, or a person with one that ended."""
        run = runs.get(self.store, self.run_id)
        if run.state in runs.ACTIVE:
            self.store.change(RunRecord, run.id, lease_until=0.0)  # as if fifteen seconds had passed
            handed: list[str] = []
            runs.recover(self.store, handed.append)
            if handed:
                return
        if run.deck_id and runs.get(self.store, run.id).state in {"succeeded", "failed"}:
            self._render_again(run.deck_id)
        else:
            runs.requeue(self.store, run.id)

    def _render_again(self, deck_id: str) -> None:
        """The same call for the deck; what a host has is gone on with, and for what was not bought it is resumed."""
        try:
            RENDER.handler(RenderArgs(deck_id=deck_id, formats=["png"]), self._bench())
        except Queued as queued:
            if str(queued) != self.run_id:
                self.account.wrong.append("the same call bought the deck in a new run, and nobody had agreed to it")
        else:
            runs.requeue(self.store, self.run_id)

    # --------------------------------------------------------------- the account

    def _standing(self) -> dict[str, Any]:
        """What must still be there at the end."""
        return {
            "images": {one.id: (one.sha256, one.status) for one in self.store.where(ImageRecord)},
            "captions": {one.image_id: one.text for one in self.store.where(CaptionRecord)},
            "files": {one.original_path: sha256_file(Path(one.original_path)) for one in self.store.where(ImageRecord)},
        }

    def _hold_to_account(self, before: dict[str, Any]) -> None:
        account, run = self.account, runs.get(self.store, self.run_id)
        bought = spend.purchases(self.store, self.run_id)
        account.state, account.creates = run.state, len(self.service.creates)
        account.purchases.update(one.state for one in bought)
        account.faults.update((fault.on, fault.kind) for fault, _ in self.service.fired)
        account.charged_usd = self.service.charged_usd
        account.hooks = len(self.service.hooks_sent)
        self._count_creates(bought)
        self._compare_costs(bought, run)
        self._look_at_files(run)
        if self._standing() != before:
            account.lost.append("images or captions are not what they were")
        [found] = self.store.read("pragma integrity_check")
        if list(found.values()) != ["ok"]:
            account.lost.append(f"the database is damaged: {found}")

    def _count_creates(self, bought: list[PurchaseRecord]) -> None:
        """One create for what is confirmed, none for what is void, one at most for what is in doubt."""
        counted = Counter(self._key(create) for create in self.service.creates)
        by_key = {one.item: one for one in bought}
        for key in counted.keys() | by_key.keys():
            one, creates = by_key.get(key), counted[key]
            state = one.state if one else "void"
            right = {"settled": {1}, "submitted": {1}, "unknown": {0, 1}, "void": {0}}.get(state, set())
            self.account.doubts.update([creates] if state == "unknown" else [])
            self.account.twice += creates > 1
            if creates not in right:
                self.account.wrong.append(f"{key} is {state}, and {creates} creates were counted")
            if one and one.provider_id and one.provider_id not in {create.id for create in self.service.creates}:
                self.account.wrong.append(f"{key} has the id {one.provider_id}, which no create had")
        arrived = sum(fault.arrived for fault, _ in self.service.fired if fault.on == "create")
        if arrived > len(self.service.creates) + self.account.kills.total():  # a killed client sent half of it
            self.account.wrong.append(f"{arrived} faults let a create through, and {len(self.service.creates)} counted")

    def _key(self, create: Create) -> str:
        """The purchase that a create was for."""
        if create.kind == "train":
            return "train"
        rows = self.store.read("select key, value from journal where run_id = ? and key like 'order/%'", [self.run_id])
        prompt = create.input["prompt"]
        return next(str(row["key"]).removeprefix("order/") for row in rows if f'"{prompt}"' in row["value"])

    def _compare_costs(self, bought: list[PurchaseRecord], run: RunRecord) -> None:
        for one in bought:
            job = self.service.jobs.get(one.provider_id)
            if one.state == "settled" and one.usd is not None and abs(one.usd - job.charged_usd) > spend.CENT:
                said = f"{one.item} cost {one.usd:.3f} USD by the ledger, and the host charged {job.charged_usd:.3f}"
                self.account.wrong.append(f"{said} ({job.state})")
        over = [one for one in bought if one.state == "settled"]
        if over and abs((run.cost_usd or 0.0) - spend.used_by(over)) > spend.CENT:
            self.account.wrong.append("the run's cost is not that of its purchases")

    def _look_at_files(self, run: RunRecord) -> None:
        """What a run that succeeded made is whole, and so is what it was made from."""
        if self.kind == "train":
            read(self.store.workspace.run(run.id) / "dataset", run.spec["pairs"], TRIGGER, run.fingerprint or "")
        loras, visuals = self.store.where(LoraRecord), self.store.where(VisualRecord)
        for lora in loras:
            header = tensor_file.read(Path(lora.path))
            if sha256_file(Path(lora.path)) != lora.sha256 or header.length != Path(lora.path).stat().st_size:
                self.account.lost.append("a LoRA is not whole")
        for visual in visuals:
            with Image.open(visual.path) as picture:
                picture.load()
            if sha256_file(Path(visual.path)) != visual.sha256:
                self.account.lost.append(f"the picture of {visual.slide} is not whole")
        made = len(loras) + len(visuals)
        self.account.files = made
        if self.kind == "train" and run.state == "succeeded" and made != 1:
            self.account.lost.append(f"the training succeeded, and there are {made} LoRAs")
        done = {one.id for one in self.service.jobs.values() if one.state == "succeeded"}
        settled = [one for one in spend.purchases(self.store, run.id) if one.provider_id in done]
        if run.state == "succeeded" and made < len(settled):
            self.account.lost.append(f"{len(settled)} were made and paid for, and {made} files are there")
