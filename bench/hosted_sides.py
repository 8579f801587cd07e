"""The processes of `hosted.py`: a host on loopback, and what is held against each other there, each on its own.

`serve HOST` answers until its input ends, and prints one JSON line at the start (addresses) and one at the end (calls
by operation). Every other role does its work once and prints one JSON line: seconds of wall clock and of processor,
the memory that was added at the peak (MB), and how often and how long it slept. Imports are made before the clock
starts.
"""

from __future__ import annotations

import argparse
import collections
import json
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from support.hosts.exchange import Reply, Request
from support.hosts.fal import Fal
from support.hosts.jobs import JobService
from support.hosts.replicate import Replicate
from support.hosts.service import serving

from loradeck.engines.base import Cost, DatasetFolder, DatasetItem, DrawJob, DrawRequest, TrainSpec
from loradeck.engines.fal.host import FalHost
from loradeck.engines.fal.table import TABLE as FAL
from loradeck.engines.hosted import drawing, zipping
from loradeck.engines.hosted.engine import HostedEngine
from loradeck.engines.registry import Registry
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.engines.replicate.table import TABLE as REPLICATE
from loradeck.state import runs
from loradeck.state.files import sha256_file
from loradeck.state.store import Store
from loradeck.tools.reporter import StoreReporter
from loradeck.tools.spending.agreement import Agreed, Offer, agree, commit
from loradeck.tools.workbench import Workbench

BASE, TRIGGER, SIDE = "flux1-dev", "zorbik", 1024
STEPS = 1000
TRAINER = {"replicate": "ostris/flux-dev-lora-trainer", "fal": "fal-ai/flux-lora-fast-training"}
DRAWER = {"replicate": "black-forest-labs/flux-dev-lora", "fal": "fal-ai/flux-lora"}
MB = 1e6


def serve(given: argparse.Namespace) -> dict[str, Any]:
    """A host whose jobs end after so many polls, each answer late by `delay` seconds."""
    service: JobService = Replicate() if given.host == "replicate" else Fal()
    service.running_polls = given.polls - service.queued_polls
    answer = service.respond

    def late(request: Request) -> Reply:
        time.sleep(given.delay)
        return answer(request)

    service.respond = late  # type: ignore[method-assign]
    with serving(service, secure=given.host == "fal"):
        told = {"api": service.base_url, "files": service.delivery_url, "authority": str(service.authority or "")}
        print(json.dumps(told), flush=True)
        sys.stdin.read()
    return {"calls": collections.Counter(call.operation for call in service.calls), "creates": len(service.creates)}


# --------------------------------------------------------------------------- our side


class Time:
    """A clock that moves when somebody sleeps, or the true one; both count the sleeps."""

    def __init__(self, real: bool) -> None:
        self.real, self.now, self.sleeps = real, 0.0, 0

    def sleep(self, seconds: float) -> None:
        """Wait, or say that it was waited."""
        self.sleeps += 1
        self.now += seconds
        if self.real:
            time.sleep(seconds)

    def __call__(self) -> float:
        return time.monotonic() if self.real else self.now


def engine(host: str, clock: Time) -> HostedEngine:
    """The engine at the host that the environment names."""
    if host == "fal":
        return HostedEngine(FalHost(clock.sleep), FAL, sleep=clock.sleep, clock=clock)
    return HostedEngine(ReplicateHost(sleep=clock.sleep), REPLICATE, sleep=clock.sleep, clock=clock)


def reporter(host: str, folder: Path) -> StoreReporter:
    """A run with its journal and its ledger on the disk, as a worker has it."""
    store = Store(folder / "home")
    on = Workbench(store, Registry(), lambda _: None, ask=lambda _: True)
    cost = Cost(1.0, usd=20.0, worst_usd=20.0, price_source="table", price_date="2026-11-28")
    agreed = agree(on, Offer("bench", host, "a bench", {}, cost), None, None)
    if not isinstance(agreed, Agreed):
        raise SystemExit("The bench was not agreed to.")
    run = runs.enqueue(store, "train", {}, engine=host)
    commit(store, agreed, run.id)
    claimed = runs.claim(store, run.id)
    if claimed is None:
        raise SystemExit("The bench's run was taken.")
    return StoreReporter(store, run.id, str(claimed.token))


def dataset(folder: Path) -> DatasetFolder:
    """The pictures in a folder, each with a caption."""
    items = [
        DatasetItem(path, f"{TRIGGER}, thing {path.stem}", sha256_file(path)) for path in sorted(folder.glob("*.jpg"))
    ]
    return DatasetFolder(folder, tuple(items), TRIGGER, "f" * 64)


def train(given: argparse.Namespace, clock: Time) -> Callable[[], object]:
    """Zip, upload, create, poll, download and check, by loradeck."""
    told, made = reporter(given.host, given.folder), engine(given.host, clock)
    recipe = made.defaults(BASE, 30, "style")
    spec = TrainSpec(
        run_id="run_1", run_dir=given.folder / "run", name=given.folder.name, base_model=BASE,
        trigger=TRIGGER, profile="style",
        steps=STEPS, rank=recipe.rank, alpha=recipe.alpha, learning_rate=recipe.learning_rate, batch_size=1,
        resolution=1024, seed=7, checkpoint_every=STEPS, sample_every=STEPS,
    )  # fmt: skip
    pictures = dataset(given.images)
    return lambda: made.train(spec, pictures, told)


def draw(given: argparse.Namespace, clock: Time) -> Callable[[], object]:
    """All pictures, by loradeck."""
    told, made = reporter(given.host, given.folder), engine(given.host, clock)
    (given.folder / "out").mkdir()
    jobs = tuple(
        DrawJob(f"p{number}", f"a fox {number}", number, SIDE, SIDE, given.folder / "out" / f"{number}.png")
        for number in range(given.pictures)
    )
    drawing.SIDE_BY_SIDE = given.side_by_side

    def work() -> None:
        drawn = made.draw(DrawRequest(BASE, jobs, ()), told)
        if len(drawn.pictures) != given.pictures:
            raise SystemExit(f"Only {len(drawn.pictures)} pictures came: {drawn.told}")

    return work


def send(given: argparse.Namespace, clock: Time) -> Callable[[], object]:
    """Pack a large set and upload it, by loradeck."""
    pictures, host = dataset(given.images), engine(given.host, clock).host

    def work() -> None:
        packed = zipping.pack(pictures, given.folder / "set.zip")
        host.upload(packed.path, packed.path.name)

    return work


# --------------------------------------------------------------------------- the official clients


def zipped(given: argparse.Namespace) -> Path:
    """The same set in a zip by the standard library, with nothing checked."""
    out: Path = given.folder / "bare.zip"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(given.images.glob("*.jpg")):
            archive.write(path, path.name)
            archive.writestr(f"{path.stem}.txt", f"{TRIGGER}, thing {path.stem}")
    return out


def keep(address: str, out: Path) -> None:
    """Download a result with nothing checked."""
    out.write_bytes(httpx.get(address).raise_for_status().content)


def replicate_client() -> Any:
    """Replicate's own client at the host that the environment names."""
    import replicate

    return replicate.Client()


def ended(job: Any) -> bool:
    """Whether a training or prediction of Replicate's client has ended."""
    return job.status in {"succeeded", "failed", "canceled"}


def bare_train_replicate(given: argparse.Namespace) -> Callable[[], object]:
    """The same training by Replicate's client."""
    client = replicate_client()

    def work() -> None:
        with zipped(given).open("rb") as file:
            address = client.files.create(file, filename="set.zip").urls["get"]
        client.models.create("me", given.folder.name, hardware="cpu", visibility="private")
        version = client.models.get(TRAINER["replicate"]).latest_version.id
        inputs = {"input_images": address, "steps": STEPS, "trigger_word": TRIGGER, "autocaption": False}
        job = client.trainings.create(
            model=TRAINER["replicate"], version=version, input=inputs, destination=f"me/{given.folder.name}"
        )
        while not ended(job):
            job.reload()
        keep(job.output["weights"], given.folder / "look.tar")

    return work


def bare_draw_replicate(given: argparse.Namespace) -> Callable[[], object]:
    """The same pictures by Replicate's client: created and asked in turn, as its loop is written."""
    client = replicate_client()

    def work() -> None:
        jobs = [
            client.predictions.create(
                model=DRAWER["replicate"],
                input={"prompt": f"a fox {number}", "seed": number, "aspect_ratio": "1:1", "output_format": "png"},
            )
            for number in range(given.pictures)
        ]
        while left := [job for job in jobs if not ended(job)]:
            for job in left:
                job.reload()
        for number, job in enumerate(jobs):
            keep(job.output[0], given.folder / f"{number}.png")

    return work


def fal_client_at(given: argparse.Namespace) -> Any:
    """Fal's own client, led to the loopback host."""
    import fal_client
    from fal_client import client as inside

    inside.REST_URL, inside.CDN_URL = given.api, given.files
    return fal_client.SyncClient()


def bare_train_fal(given: argparse.Namespace) -> Callable[[], object]:
    """The same training by fal's client."""
    client = fal_client_at(given)

    def work() -> None:
        inputs = {"images_data_url": client.upload_file(zipped(given)), "steps": STEPS, "trigger_word": TRIGGER}
        job = client.submit(TRAINER["fal"], inputs)
        for _ in job.iter_events(with_logs=True, interval=0):
            continue
        keep(job.get(interval=0)["diffusers_lora_file"]["url"], given.folder / "look.safetensors")

    return work


def bare_draw_fal(given: argparse.Namespace) -> Callable[[], object]:
    """The same pictures by fal's client: created and asked in turn."""
    import fal_client

    client = fal_client_at(given)
    size = {"width": SIDE, "height": SIDE}

    def work() -> None:
        jobs = [
            client.submit(
                DRAWER["fal"],
                {"prompt": f"a fox {number}", "seed": number, "image_size": size, "output_format": "png"},
            )
            for number in range(given.pictures)
        ]
        left = jobs
        while left := [job for job in left if not isinstance(job.status(), fal_client.Completed)]:
            continue
        for number, job in enumerate(jobs):
            keep(job.get(interval=0)["images"][0]["url"], given.folder / f"{number}.png")

    return work


def bare_send(given: argparse.Namespace) -> Callable[[], object]:
    """A large set zipped by the standard library and posted by httpx, with nothing checked."""
    key = {"Authorization": "Bearer right-key"}

    def work() -> None:
        with zipped(given).open("rb") as file:
            if given.host == "replicate":
                part = {"content": ("set.zip", file, "application/zip")}
                httpx.post(f"{given.api}/v1/files", headers=key, files=part, timeout=600).raise_for_status()
                return
            told = httpx.post(
                f"{given.api}/storage/auth/token?storage_type=fal-cdn-v3",
                headers={"Authorization": "Key right-key"},
                json={},
            ).json()
            headers = {"Authorization": f"{told['token_type']} {told['token']}", "content-type": "application/zip"}
            address = f"{told['base_url']}/files/upload"
            httpx.post(address, headers=headers, content=file, timeout=600).raise_for_status()

    return work


OURS = {"train": train, "draw": draw, "send": send}
BARE = {
    ("train", "replicate"): bare_train_replicate, ("train", "fal"): bare_train_fal,
    ("draw", "replicate"): bare_draw_replicate, ("draw", "fal"): bare_draw_fal,
    ("send", "replicate"): bare_send, ("send", "fal"): bare_send,
}  # fmt: skip


def measured(work: Callable[[], object], clock: Time) -> dict[str, float]:
    """Do it, and say what it took."""
    before = psutil.Process().memory_info().rss
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - processor,
        "peak": max(0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / MB,
        "sleeps": clock.sleeps,
    }


def main() -> None:
    """One role."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("side", choices=["serve", "ours", "bare"])
    reader.add_argument("host", choices=["replicate", "fal"])
    reader.add_argument("--work", choices=list(OURS))
    reader.add_argument("--images", type=Path)
    reader.add_argument("--folder", type=Path)
    reader.add_argument("--api")
    reader.add_argument("--files")
    reader.add_argument("--pictures", type=int, default=64)
    reader.add_argument("--side-by-side", type=int, default=drawing.SIDE_BY_SIDE)
    reader.add_argument("--delay", type=float, default=0.0)
    reader.add_argument("--polls", type=int, default=3)
    reader.add_argument("--real-time", action="store_true")
    given = reader.parse_args()
    if given.side == "serve":
        print(json.dumps(serve(given)), flush=True)
        return
    clock = Time(given.real_time)
    work = OURS[given.work](given, clock) if given.side == "ours" else BARE[given.work, given.host](given)
    print(json.dumps(measured(work, clock)), flush=True)


if __name__ == "__main__":
    main()
