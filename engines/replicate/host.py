"""Replicate as a host: files, private destinations, trainings and predictions over its HTTP API.

The official client is not used: it sends a paid request three times on a dropped connection, and its token to hosts
that outputs lie on.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loradeck.engines.base import Availability, Purchase
from loradeck.engines.errors import BadSpec, NotInstalled, ProviderError
from loradeck.engines.hosted import hooks, keys
from loradeck.engines.hosted.client import Client, Reply, fine, origin
from loradeck.engines.hosted.host import Created, Lists, LiveField, LivePrice, Standing, Uploaded
from loradeck.engines.hosted.table import PriceRow, Table, TrainerRow
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused, WireError
from loradeck.engines.replicate import hooks as signatures
from loradeck.engines.replicate import reading, schema, trainers
from loradeck.engines.replicate.refusals import worded
from loradeck.engines.replicate.table import CHECKED, OTHER_PRICE, TABLE, TRAINED_PRICE

NAME = "replicate"
BASE_URL = "https://api.replicate.com"
BASE_VARIABLE = "REPLICATE_BASE_URL"
TRAININGS, PREDICTIONS = "trainings", "predictions"
AT_ONCE = 64
"""Replicate takes 600 predictions and 3000 other requests a minute; that many can be asked after every 2 seconds."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far a machine's clock and Replicate's may be apart, where a request is sought by its time alone."""
WRONG_CLOCK = timedelta(hours=14)
"""How far they may be apart where a request has our mark or inputs: a clock set for another zone is not farther off."""
DESTINATION_HARDWARE = "gpu-h100"
"""A new model must name a machine: the one that trained FLUX models draw on, whatever is named."""
LIKELIEST = ("mark", "inputs", "removed")
EVENTS = ["start", "completed"]
MODEL = re.compile(r"[\w.-]+/[\w.-]+")
GONE = (
    "Replicate does not know this request any more, or it belongs to another account. One that waits unstarted for 30 "
    "minutes is dropped there, and nothing is billed for it."
)


class ReplicateHost:
    """Replicate's API, asked as a table says. The key and the address are read when they are first used.

    `sleep` waits between the tries of what may be repeated; it is for tests.
    """

    def __init__(self, table: Table = TABLE, sleep: Callable[[float], None] = time.sleep) -> None:
        self._table, self._sleep = table, sleep
        self._client: Client | None = None
        self._versions: dict[str, str] = {}
        self._secret = hooks.Trusted(self._signing_secret)

    @property
    def name(self) -> str:
        """Replicate's name as an engine."""
        return NAME

    @property
    def lists(self) -> Lists:
        """Trainings and predictions are listed from the moment that they are taken."""
        return "all"

    @property
    def at_once(self) -> int:
        """The most requests that are kept under way."""
        return AT_ONCE

    def available(self) -> Availability:
        """Whether there is a token."""
        if keys.key(NAME) is None:
            return Availability(False, "there is no token for Replicate.", f"To set one, {keys.advice(NAME)}.")
        return Availability(True)

    # Before a purchase: all of it is free, and may be repeated

    def upload(self, path: Path, name: str) -> Uploaded:
        """Store a file for Replicate's models, which alone can read it; it is gone after 24 hours."""
        kind = "application/zip" if name.endswith(".zip") else "application/octet-stream"
        with worded("an upload"):
            told = self._asked().upload_multipart("v1/files", "content", path, name=name, content_type=kind)
        try:
            return Uploaded(str(told["urls"]["get"]), str(told.get("expires_at") or ""))
        except (KeyError, TypeError):
            raise Ambiguous("Replicate took a file and did not say where it lies; start again.") from None

    def prepare(self, endpoint: str, name: str) -> str:
        """The private model that a training is put into, made where it is missing; returns owner and name.

        Raises ProviderError where a model of that name is open to everybody.
        """
        with worded("an account"):
            owner = str(_object(self._asked().get_json("v1/account")).get("username") or "")
        if not owner:
            raise ProviderError("Replicate does not say whose token this is; make a new one and set it.")
        destination = f"{owner}/{model_name(name)}"
        body = {
            "owner": owner,
            "name": model_name(name),
            "visibility": "private",
            "hardware": DESTINATION_HARDWARE,
            "description": f"A LoRA trained with {endpoint}.",
        }
        with worded(destination):
            reply = self._asked().request("POST", "v1/models", body=body, tries=3, take=_made_or_there)
            model = _object(reply.json()) if fine(reply) else self._model(destination)
        if model.get("visibility") != "private":
            raise ProviderError(
                f"The model {destination} at Replicate is public, and what is trained into it would be open to "
                f"everybody; make it private at https://replicate.com/{destination}/settings, or train under another "
                "name. Nothing was bought."
            )
        return destination

    def price(self, endpoint: str) -> LivePrice | None:  # noqa: ARG002 (a host's signature)
        """None: Replicate's API tells no price."""
        return None

    def inputs(self, endpoint: str) -> dict[str, LiveField] | None:
        """The inputs by the schema of the latest version (or of the one that is named)."""
        try:
            return self._inputs(endpoint, self._trains(endpoint))
        except WireError:
            return None

    def trainer(self, base_model: str, endpoint: str) -> TrainerRow:
        """The row of a trainer that the table lacks, by its live schema. Raises BadSpec and WireError."""
        if not MODEL.fullmatch(endpoint):
            raise BadSpec(f"{endpoint!r} names no trainer at Replicate; give owner/name, as in its address there.")
        live = self._inputs(endpoint, training=True)
        return trainers.row(base_model, endpoint, live or {}, OTHER_PRICE, CHECKED)

    # The purchase

    def create(self, endpoint: str, inputs: Mapping[str, Any], purchase: Purchase, destination: str = "") -> Created:
        """The paid request: a training where there is a destination, else a prediction. It is sent exactly once.

        It carries no `Prefer: wait`: Replicate would hold its answer, and the id with it, until a picture is drawn.
        """
        target, body, version = self._addressed(endpoint, destination)
        body |= {"input": dict(inputs), **_webhook(purchase)}
        with worded(endpoint):
            told = self._asked().post_json(target, body)
        try:
            of = TRAININGS if destination else PREDICTIONS
            return Created(str(told["id"]), _handle(of, endpoint, str(told.get("version") or version)))
        except (KeyError, TypeError, AttributeError):
            raise Ambiguous("Replicate answered without the id of the request, so it may have taken it.") from None

    def _addressed(self, endpoint: str, destination: str) -> tuple[str, dict[str, Any], str]:
        """Path, body and version of a create. Official models are asked by name, all others by version.

        Nothing has been sent before this returns, so that what goes wrong here is raised as NeverSent or Refused.
        """
        model, _, version = endpoint.partition(":")
        if destination:
            version = version or self._latest(model, fresh=True)
            return f"v1/models/{model}/versions/{version}/trainings", {"destination": destination}, version
        if not version and self._price(endpoint).per == "image":
            return f"v1/models/{model}/predictions", {}, ""
        version = version or self._latest(model)
        return "v1/predictions", {"version": f"{model}:{version}"}, version

    def _latest(self, model: str, fresh: bool = False) -> str:
        """The id of a model's latest version; asked once, or anew for a training."""
        if fresh or model not in self._versions:
            try:
                with worded(model):
                    latest = self._model(model).get("latest_version") or {}
            except Ambiguous as error:
                raise NeverSent(f"{error} The version of {model} is not known, so nothing was sent.") from None
            if not latest.get("id"):
                raise Refused(
                    f"{model} has no version at Replicate that could be asked; nothing was sent.", 404, "missing"
                )
            self._versions[model] = str(latest["id"])
        return self._versions[model]

    def find(self, endpoint: str, inputs: Mapping[str, Any], purchase: Purchase) -> list[Created]:
        """What can be a purchase in both lists since before its intent, the likeliest and oldest first."""
        intended = datetime.fromisoformat(purchase.intended_at)
        found = [
            (LIKELIEST.index(likeness), reading.when(told), of, told)
            for of in (TRAININGS, PREDICTIONS)
            for told in reversed(list(self._since(of, intended - WRONG_CLOCK)))
            if (likeness := reading.likeness(told, endpoint, inputs, purchase))
            and (likeness != "removed" or reading.when(told) >= intended - CLOCK_SKEW)
        ]
        near = [one for one in found if one[0] == 0 or one[1] >= intended - CLOCK_SKEW]
        found = sorted(near or found, key=lambda one: one[:2])  # far ones count where a wrong clock alone explains it
        return [self._found(of, endpoint, told, purchase) for _, _, of, told in found]

    def _found(self, of: str, endpoint: str, told: Mapping[str, Any], purchase: Purchase) -> Created:
        handle = _handle(of, endpoint, str(told.get("version") or ""))
        marked = {"mark": purchase.mark} if reading.marked(told, purchase) else {}
        return Created(str(told["id"]), handle | marked)

    def _since(self, of: str, since: datetime) -> Iterator[dict[str, Any]]:
        """All that was created since a moment, newest first. Raises WireError where a page is missing."""
        query = ""
        while True:
            with worded(f"the list of {of}"):
                page = _object(self._asked().get_json(f"v1/{of}{query}"))
            results = page.get("results") or []
            yield from (told for told in results if reading.when(told) >= since)
            follows = urlsplit(str(page.get("next") or "")).query
            if not follows or not results or reading.when(results[-1]) < since:
                return
            query = f"?{follows}"

    # After it

    def look(self, created: Created, endpoint: str) -> Standing:
        """Where a training or prediction stands."""
        try:
            with worded(f"{endpoint} {created.id}"):
                told = _object(self._asked().get_json(_path(created)))
        except Refused as refused:
            if refused.status != 404:
                raise
            return Standing(
                "failed", error=GONE, next_step="Look at https://replicate.com/account, then start again.", gone=True
            )
        return reading.standing(told, self._price(endpoint))

    def cancel(self, created: Created, endpoint: str) -> None:
        """Ask for the end of a training or prediction; asking twice does no harm, nor does one that has ended."""
        with worded(endpoint):
            self._asked().request("POST", f"{_path(created)}/cancel", tries=3, take=_ended_or_gone)

    def word(self, headers: Mapping[str, str], body: bytes, now: float) -> Created:
        """The training or prediction that a webhook of Replicate's is about (see `hooks.CallsBack`)."""
        signatures.require_signed(headers, body, self._secret, now)
        name, told = hooks.request(body, "id")
        of = TRAININGS if f"/{TRAININGS}/" in str(_object(told.get("urls") or {}).get("get")) else PREDICTIONS
        return Created(name, _handle(of, str(told.get("model") or ""), str(told.get("version") or "")))

    def _signing_secret(self) -> keys.Key:
        """What this account's webhooks are signed with: from the environment, else asked for."""
        secret = os.environ.get(signatures.SECRET_VARIABLE, "").strip()
        if not secret:
            with worded("the secret of webhooks"):
                told = self._asked().get_json("v1/webhooks/default/secret", tries=hooks.FREE_TRIES)
                secret = str(_object(told).get("key") or "")
        if not secret:
            raise Ambiguous("Replicate did not tell the secret that it signs webhooks with.")
        return keys.Key(secret, signatures.SECRET_VARIABLE)

    def download_headers(self, url: str) -> dict[str, str]:
        """The token for files of the API itself; none for the hosts that outputs lie on."""
        return _headers() if origin(url) == origin(_base_url()) else {}

    # What is known of an endpoint

    def _inputs(self, endpoint: str, training: bool | None) -> dict[str, LiveField] | None:
        """The inputs for a training or a prediction; with None those for a training where there are any."""
        model, _, version = endpoint.partition(":")
        with worded(endpoint):
            if version:
                told = _object(self._asked().get_json(f"v1/models/{model}/versions/{version}"))
            else:
                told = self._model(model).get("latest_version") or {}
        openapi = told.get("openapi_schema")
        if training is None:
            return schema.fields(openapi, training=True) or schema.fields(openapi, training=False)
        return schema.fields(openapi, training)

    def _model(self, model: str) -> dict[str, Any]:
        return _object(self._asked().get_json(f"v1/models/{model}"))

    def _trains(self, endpoint: str) -> bool | None:
        """Whether an endpoint is asked for trainings; None where the table does not have it."""
        if any(row.endpoint == endpoint for row in self._table.trainers):
            return True
        return False if ":" in endpoint or self._known_price(endpoint) else None

    def _price(self, endpoint: str) -> PriceRow:
        """What an endpoint costs by the table; a model with a version is one that was trained there."""
        return self._known_price(endpoint) or (TRAINED_PRICE if ":" in endpoint else OTHER_PRICE)

    def _known_price(self, endpoint: str) -> PriceRow | None:
        rows = (*self._table.trainers, *self._table.drawers, *self._table.editors, self._table.captioner)
        return next((row.price for row in rows if row is not None and row.endpoint == endpoint), None)

    def _asked(self) -> Client:
        """The client of the address that is set now."""
        if self._client is None:
            self._client = Client(_base_url(), _headers, sleep=self._sleep, name="Replicate")
        return self._client


def model_name(name: str) -> str:
    """A name as Replicate takes it for a model: small letters, digits, dashes, dots and underscores, 64 at most."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")
    return slug[:64].rstrip("-._") or "lora"


def _base_url() -> str:
    return os.environ.get(BASE_VARIABLE, "").strip().rstrip("/").removesuffix("/v1") or BASE_URL


def _headers() -> dict[str, str]:
    """The header with the token. Raises NotInstalled where none is set."""
    token = keys.key(NAME)
    if token is None:
        raise NotInstalled(f"There is no token for Replicate; {keys.advice(NAME)}.")
    return {"Authorization": f"Bearer {token.reveal()}"}


def _webhook(purchase: Purchase) -> dict[str, Any]:
    """Where Replicate tells of the start and the end; nothing where no address is set."""
    address = hooks.address(NAME, purchase.mark)
    return {"webhook": address, "webhook_events_filter": EVENTS} if address else {}


def _object(told: Any) -> dict[str, Any]:
    """An answer that must be an object. Raises Ambiguous for any other."""
    if not isinstance(told, dict):
        raise Ambiguous("Replicate answered in a form that is not known; look whether there is a newer loradeck.")
    return told


def _handle(of: str, endpoint: str, version: str) -> dict[str, Any]:
    return {"of": of, "model": endpoint.partition(":")[0], "version": version}


def _path(created: Created) -> str:
    return f"v1/{created.handle.get('of', PREDICTIONS)}/{created.id}"


def _made_or_there(reply: Reply) -> bool:
    return fine(reply) or reply.status == 409


def _ended_or_gone(reply: Reply) -> bool:
    return fine(reply) or reply.status in {404, 409}
