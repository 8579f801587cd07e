"""One training at a host, from the zip to the LoRA file. Every step is re-entrant and nothing is bought twice."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from loradeck.engines import files
from loradeck.engines.base import HIGH_NOISE, HIGH_NOISE_SHA256, DatasetFolder, Purchase, TrainResult, TrainSpec
from loradeck.engines.errors import BadWeights, CameToNothing, ProviderError
from loradeck.engines.hosted import download, outputs, recipes, returned, schema, unpack, zipping
from loradeck.engines.hosted.counter import Counter, Order
from loradeck.engines.hosted.host import Standing
from loradeck.engines.hosted.pricing import Amount, Rate
from loradeck.engines.hosted.sending import Parcel, free_of_charge
from loradeck.engines.hosted.table import TrainerRow
from loradeck.engines.hosted.watch import MEASURED

KEY = "train"
"""The purchase's key within its run."""
RESULT = "train/result"
"""Journal key of what came of it."""
RETURNED = "returned"
"""The folder of a run that holds what the host gave back, as it gave it."""


@dataclass(frozen=True)
class Training:
    """What is asked for: the endpoint's row, its live schema, the price in force, and the job."""

    row: TrainerRow
    live: schema.Live | None
    rate: Rate
    spec: TrainSpec
    dataset: DatasetFolder


WEIGHTS: set[str] = {"lora", "high_noise_lora"}


def model_at(host: str) -> str:
    """The metadata key under which a LoRA names the model at a host that draws with it by itself."""
    return f"loradeck.model_at_{host}"


def train(counter: Counter, training: Training) -> TrainResult:
    """Send the set, buy the training, follow it, and fetch, check and keep what came back."""
    there = _kept(counter, training.spec)
    if there is not None:
        return there
    purchase = counter.place(KEY, lambda: _order(counter, training))
    _packed_at(training.spec).unlink(missing_ok=True)
    counter.watch.follow(purchase, steps=recipes.steps_of(training.row, training.spec))
    [(purchase, standing)] = counter.watch.ended()
    if standing.stage != "done":
        raise CameToNothing(_failed(counter.host.name, training.row.endpoint, purchase, standing))
    result = _result(counter, training, purchase, standing)
    counter.reporter.journal.put(RESULT, asdict(result) | {"lora_path": str(result.lora_path)})
    return result


def _kept(counter: Counter, spec: TrainSpec) -> TrainResult | None:
    """The result of an earlier call of this run, while its file is as it was."""
    kept = counter.reporter.journal.get(RESULT)
    if kept is None:
        return None
    result = TrainResult(**(kept | {"lora_path": Path(kept["lora_path"])}))
    whole = result.lora_path.exists() and files.sha256_file(result.lora_path) == result.sha256
    return result if whole and result.lora_path.parent == spec.run_dir else None


def _order(counter: Counter, training: Training) -> Order:
    """Pack, send and prepare: all of it is free, and found wrong before it is bought."""
    row, spec, host = training.row, training.spec, counter.host
    recipes.must_take(row, spec, len(training.dataset.items))
    _fitted(training, "https://")  # what the live schema refuses is refused before the upload
    counter.reporter.progress(0, spec.steps, "Packing the training set.")
    packed = zipping.pack(training.dataset, _packed_at(spec))
    counter.reporter.progress(0, spec.steps, f"Sending {packed.bytes / 2**20:.1f} MiB to {host.name}.")
    parcel = Parcel(packed.path, "training set", f"{spec.run_id}.zip", packed.sha256, len(packed.names))
    [url] = counter.sending.urls([parcel])
    fitted = _fitted(training, url)
    for sentence in fitted.told:
        counter.reporter.event(sentence, "warning")
    with free_of_charge("preparing a private destination"):
        destination = host.prepare(row.endpoint, spec.name)
    amount = Amount(steps=recipes.steps_of(row, spec))
    return Order(row.endpoint, fitted.inputs, training.rate.worst(amount), destination)


def _fitted(training: Training, url: str) -> schema.Fitted:
    row = training.row
    return schema.fitted(row.endpoint, recipes.inputs(row, training.spec, url), training.live, (row.zip_field,))


def _packed_at(spec: TrainSpec) -> Path:
    return spec.run_dir / "upload" / f"{spec.run_id}.zip"


def _failed(host: str, endpoint: str, purchase: Purchase, standing: Standing) -> str:
    """The sentence on a training that came to nothing."""
    if standing.gone:
        what = f"{host} does not know the training {purchase.provider_id} any more"
    elif standing.stage == "cancelled":
        what = f"The training {purchase.provider_id} was cancelled at {host}"
    else:
        what = f"The training at {host} ({endpoint}) failed"
    why = f": {standing.error.rstrip('.')}" if standing.error else ""
    step = standing.next_step or "look at its log in the dashboard there"
    return (
        f"{what}{why}. {outputs.charged(host, standing, purchase.worst_usd)} {step.rstrip('.')}. This run buys nothing "
        "again: start a new one with start_training (without resume and quote_id), which tells its price first."
    )


def _result(counter: Counter, training: Training, purchase: Purchase, standing: Standing) -> TrainResult:
    """Fetch the files at once, before they expire, and keep the LoRA in them."""
    spec, row = training.spec, training.row
    counter.reporter.progress(spec.steps, spec.steps, f"Fetching the LoRA from {counter.host.name}.")
    meta = _said(counter, training, purchase, standing)
    fetched = _fetched(counter, training, standing)
    try:
        main = returned.accept(_weights(fetched["lora"]), row.base_model, _out(spec), spec.trigger, meta)
        metadata = {**main.metadata}
        if "high_noise_lora" in fetched:
            second = _out(spec, "-high-noise")
            high = returned.accept(
                _weights(fetched["high_noise_lora"]),
                row.base_model,
                second,
                spec.trigger,
                {**meta, "half": "high noise"},
            )
            metadata |= {HIGH_NOISE: high.path.name, HIGH_NOISE_SHA256: high.sha256}
    except BadWeights as error:
        for path in fetched.values():  # kept to be looked at, and fetched anew by a resume
            path.replace(path.with_name(f"refused-{path.name}"))
        cost = outputs.charged(counter.host.name, standing, purchase.worst_usd)
        raise BadWeights(f"{error} {cost} What came back lies in the run's folder {RETURNED}.") from error
    return TrainResult(
        lora_path=main.path,
        sha256=main.sha256,
        steps=standing.steps or recipes.steps_of(row, spec),
        rank=main.rank,
        base_model=row.base_model,
        final_loss=_final_loss(standing),
        metadata=metadata,
    )


def _said(counter: Counter, training: Training, purchase: Purchase, standing: Standing) -> dict[str, str]:
    """What the file is to say of where it was made."""
    host = counter.host.name
    meta = {
        "loradeck.engine": host,
        "loradeck.endpoint": training.row.endpoint,
        "loradeck.request": purchase.provider_id or "",
        "ss_steps": str(standing.steps or recipes.steps_of(training.row, training.spec)),
    }
    for output in training.row.outputs:
        model = outputs.at(standing.output, output) if output.role == "version" else None
        if model:
            meta[model_at(host)] = model
    return meta


def _fetched(counter: Counter, training: Training, standing: Standing) -> dict[str, Path]:
    """The files by their role; those beside the weights are left out where they are missing."""
    host, folder = counter.host, training.spec.run_dir / RETURNED
    addresses = {
        one.role: address
        for one in training.row.outputs
        if one.role != "version" and (address := outputs.at(standing.output, one)) and outputs.is_address(address)
    }
    needed = {one.role for one in training.row.outputs} & WEIGHTS
    elsewhere = outputs.weights_anywhere(standing.output)
    if needed == {"lora"} and "lora" not in addresses and elsewhere:
        counter.reporter.event(f"{training.row.endpoint} gives its weights in another place than before.", "warning")
        addresses["lora"] = elsewhere
    if not needed <= addresses.keys():
        raise ProviderError(
            f"{training.row.endpoint} gave no weights where they are known to stand; look at the run in the dashboard "
            f'of {host.name}, download them there and bring them in with manage_loras(action="import").'
        )
    wanted = [download.Wanted(address, folder / f"{role}{_suffix(address)}") for role, address in addresses.items()]
    got = download.fetch_all(wanted, host.download_headers, host.name, sleep=counter.sleep)
    for role, one in zip(addresses, got, strict=True):
        if isinstance(one, ProviderError) and role in WEIGHTS:
            raise one
    return {role: one for role, one in zip(addresses, got, strict=True) if isinstance(one, Path)}


def _weights(path: Path) -> Path:
    """The LoRA in what came back: the file itself, or the largest in an archive (others are checkpoints)."""
    found = unpack.unpack(path, path.parent / f"{path.name.partition('.')[0]}-unpacked")
    return max(found, key=lambda one: one.stat().st_size)


def _suffix(address: str) -> str:
    found = re.search(r"(\.tar\.gz|\.[a-z0-9]{1,12})$", address.partition("?")[0].lower())
    return found[1] if found else ".bin"


def _out(spec: TrainSpec, ending: str = "") -> Path:
    name = re.sub(r"[^\w.-]+", "-", spec.name).strip("-.") or "lora"
    return spec.run_dir / f"{name}{ending}.safetensors"


def _final_loss(standing: Standing) -> float | None:
    """The last loss that the log tells."""
    told = [found for line in standing.lines if (found := MEASURED["loss"].search(line))]
    return float(told[-1][1]) if told else None
