"""fal as a host: its queue, its storage and its platform's lists and prices, over HTTP.

The official client is not used: it sends a paid request again ten times on a dropped connection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loradeck.engines.base import Availability, Purchase
from loradeck.engines.errors import NotInstalled
from loradeck.engines.fal import hooks as signatures
from loradeck.engines.fal import reading, schema
from loradeck.engines.fal.refusals import worded
from loradeck.engines.fal.storage import IN_PARTS_ABOVE, Storage, lifecycle
from loradeck.engines.hosted import hooks, keys
from loradeck.engines.hosted.client import TRIES, Client, Reply, fine, origin
from loradeck.engines.hosted.host import Created, Lists, LiveField, LivePrice, Standing, Uploaded
from loradeck.engines.hosted.purchase import utc_now
from loradeck.engines.hosted.wire import Ambiguous, WireError

NAME = "fal"
BASES = {"queue": "https://queue.fal.run", "rest": "https://rest.fal.ai", "api": "https://api.fal.ai"}
BASE_VARIABLE = "LORADECK_FAL_URL"
"""One address that plays all roles in place of fal's three."""
AT_ONCE = 64
"""fal's queue takes any number and works on as many as the account may have at once; the others wait there."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far a machine's clock and fal's are apart where both are right, when requests are sought by their time."""
WRONG_CLOCK = timedelta(hours=14)
"""How far they may be apart: a clock that is set for another zone is not farther off."""
STARTS_WITHIN = timedelta(hours=6)
"""A request that no machine has begun by then is dropped by fal, unbilled: its inputs lie there for a day alone."""
RESULTS_LAST = timedelta(days=7)
"""How long fal keeps what it made; it is fetched at once, and this is for a machine that was switched off."""
PAGE, MOST_PAGES = 100, 20
FREE_TRIES = 2
"""How often a price or a schema is asked for: the table stands in for it."""
LIKELIEST = ("mark", "inputs")
GONE = "fal does not know this request any more, or it belongs to another account."
LOOK_THERE = "Look at https://fal.ai/dashboard/requests, then start again."


class FalHost:
    """fal's queue, storage and platform. The key and the addresses are read when they are first used.

    `sleep` (between the tries of what may be repeated), `now` and `in_parts_above` (bytes from which a file is uploaded
    in parts) are for tests.
    """

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = utc_now,
        in_parts_above: int = IN_PARTS_ABOVE,
    ) -> None:
        self._sleep, self._now, self._in_parts_above = sleep, now, in_parts_above
        self._clients: dict[str, Client] = {}
        self._stored: Storage | None = None
        self._unit_usd: dict[str, float] = {}
        self._signers = hooks.Trusted(self._public_keys)

    @property
    def name(self) -> str:
        """The name callers use."""
        return NAME

    @property
    def lists(self) -> Lists:
        """A request is listed once it has ended, so that its absence proves nothing."""
        return "ended"

    @property
    def at_once(self) -> int:
        """The most requests that are kept under way."""
        return AT_ONCE

    def available(self) -> Availability:
        """Whether there is a key."""
        if keys.key(NAME) is None:
            return Availability(False, "there is no key for fal.", f"To set one, {keys.advice(NAME)}.")
        return Availability(True)

    # Before a purchase: all of it is free, and may be repeated

    def upload(self, path: Path, name: str) -> Uploaded:
        """Store a file at fal for a day, under an address that cannot be guessed."""
        if self._stored is None:
            self._stored = Storage(self._asked("rest"), self._sleep, self._now, self._in_parts_above)
        return self._stored.upload(path, name)

    def prepare(self, endpoint: str, name: str) -> str:  # noqa: ARG002 (a host's signature)
        """Nothing: fal hands a LoRA back as a file, and keeps no model."""
        return ""

    def price(self, endpoint: str) -> LivePrice | None:
        """USD by unit as fal's platform tells it now; None without a key too."""
        try:
            told = self._platform("v1/models/pricing", {"endpoint_id": endpoint})
            one = next(one for one in told["prices"] if one["endpoint_id"] == endpoint and one["currency"] == "USD")
            live = LivePrice(float(one["unit_price"]), str(one["unit"]))
        except (WireError, NotInstalled, KeyError, TypeError, ValueError, StopIteration):
            return None
        self._unit_usd[endpoint] = live.usd
        return live

    def inputs(self, endpoint: str) -> dict[str, LiveField] | None:
        """The inputs by the schema that fal serves for the endpoint; None without a key too."""
        try:
            told = self._platform("v1/models", {"endpoint_id": endpoint, "expand": "openapi-3.0"})
            model = next(model for model in told["models"] if model["endpoint_id"] == endpoint)
        except (WireError, NotInstalled, KeyError, TypeError, StopIteration):
            return None
        return schema.fields(model.get("openapi"))

    # The purchase

    def create(self, endpoint: str, inputs: Mapping[str, Any], purchase: Purchase, destination: str = "") -> Created:  # noqa: ARG002 (a host's signature)
        """The paid request, put into fal's queue exactly once; fal is told not to repeat it either."""
        with worded(endpoint):
            told = self._asked("queue").post_json(endpoint, dict(inputs), _submitting(), params=_webhook(purchase))
        if not isinstance(told, dict) or not told.get("request_id"):
            raise Ambiguous("fal answered without the id of the request, so it may have taken it.")
        name = str(told["request_id"])
        return Created(name, {**self._addresses(endpoint, name), **self._told_addresses(told)})

    def find(self, endpoint: str, inputs: Mapping[str, Any], purchase: Purchase) -> list[Created]:
        """What can be a purchase among what has ended since its intent, the likeliest and oldest first."""
        intended = datetime.fromisoformat(purchase.intended_at)
        since = intended - WRONG_CLOCK
        found = [
            (LIKELIEST.index(likeness), _when(item), str(item["request_id"]))
            for item in self._ended(endpoint, since)
            if _when(item) >= since and (likeness := reading.likeness(item, inputs, purchase.mark))
        ]
        near = [one for one in found if one[0] == 0 or one[1] >= intended - CLOCK_SKEW]
        found = sorted(near or found)  # far ones count where a wrong clock alone explains it
        marks: tuple[dict[str, str], ...] = ({"mark": purchase.mark}, {})
        return [Created(name, self._addresses(endpoint, name) | marks[rank]) for rank, _, name in found]

    def _ended(self, endpoint: str, since: datetime) -> Iterator[dict[str, Any]]:
        """Requests to an endpoint that ended since a moment. Raises WireError where a page is missing."""
        asked: dict[str, Any] = {"endpoint_id": endpoint, "expand": "payloads", "start": _utc(since), "limit": PAGE}
        for _ in range(MOST_PAGES):
            with worded("its list of requests"):
                page = _object(self._asked("api").get_json("v1/models/requests/by-endpoint", asked))
            yield from (item for item in page.get("items") or [] if isinstance(item, dict) and item.get("request_id"))
            if not page.get("has_more") or not page.get("next_cursor"):
                return
            asked["cursor"] = page["next_cursor"]

    # After it

    def look(self, created: Created, endpoint: str) -> Standing:
        """Where a request stands. The response is asked for once it is over, as it alone tells whether it went well.

        It is asked for as well where the status is not known, since it tells too whether the request is over.
        """
        with worded(endpoint):
            reply = self._get(self._address(created, endpoint, "status_url"), _known_or_gone, {"logs": "1"})
            if reply.status == 404:
                return Standing("failed", error=GONE, next_step=LOOK_THERE, gone=True)
            told = _object(reply.json())
            standing = reading.under_way(told)
            if standing.stage != "done" and not standing.error:
                return standing
            result = self._result(created, endpoint, standing, told)
            return standing if standing.error and result.stage == "running" else result

    def _result(self, created: Created, endpoint: str, standing: Standing, told: Mapping[str, Any]) -> Standing:
        """What became of a request that is over, by its response; by its status where that has no response any more."""
        said, kind = str(told.get("error") or ""), str(told.get("error_type") or "")

        def answer_or_gone(reply: Reply) -> bool:
            gone_or_failed = reply.status == 404 or (bool(said or kind) and reply.status not in {401, 403, 429})
            return reading.is_answer(reply) or (reply.is_json and gone_or_failed)

        reply = self._get(self._address(created, endpoint, "response_url"), answer_or_gone)
        if reply.status != 404:
            return reading.ended(standing, reply, self._unit(endpoint) if reading.UNITS in reply.headers else None)
        if said or kind:
            return reading.failed(standing, said, kind, None)
        return Standing("failed", lines=standing.lines, error=GONE, next_step=LOOK_THERE, gone=True)

    def cancel(self, created: Created, endpoint: str) -> None:
        """Ask for the end of a request; asking twice does no harm, nor does one that has ended."""
        with worded(endpoint):
            target = self._address(created, endpoint, "cancel_url")
            self._asked("queue").request("PUT", target, tries=3, take=_ended_or_gone)

    def word(self, headers: Mapping[str, str], body: bytes, now: float) -> Created:
        """The request that a webhook of fal's is about (see `hooks.CallsBack`).

        Its id is taken from the body, which the signature covers: the header may name a try of fal's own.
        """
        signatures.require_signed(headers, body, self._signers, now)
        name, _ = hooks.request(body, "request_id")
        return Created(name)

    def _public_keys(self) -> list[bytes]:
        """The keys that fal signs webhooks with. They are public, so that no key goes along."""
        told = Client(_base("rest"), dict, sleep=self._sleep, name="fal").get_json(
            signatures.KEYS_PATH, tries=hooks.FREE_TRIES
        )
        try:
            return signatures.public_keys(told)
        except (KeyError, TypeError, ValueError):
            raise Ambiguous("fal's set of public keys cannot be read; look for a newer loradeck.") from None

    def download_headers(self, url: str) -> dict[str, str]:
        """The key for fal's own addresses; none for the CDN that results lie on."""
        return _headers() if origin(url) in {origin(_base(role)) for role in BASES} else {}

    # Addresses

    def _addresses(self, endpoint: str, name: str) -> dict[str, str]:
        """Where a request is asked for: under the owner and the app, without the endpoint's further path."""
        app = "/".join(endpoint.split("/")[:2])
        root = f"{_base('queue')}/{app}/requests/{name}"
        return {"status_url": f"{root}/status", "response_url": root, "cancel_url": f"{root}/cancel"}

    def _told_addresses(self, told: Mapping[str, Any]) -> dict[str, str]:
        """The addresses that fal gave, where they lie on the host that the key belongs to."""
        queue = origin(_base("queue"))
        named = {key: str(told.get(key) or "") for key in ("status_url", "response_url", "cancel_url")}
        return {key: url for key, url in named.items() if origin(url) == queue}

    def _address(self, created: Created, endpoint: str, which: str) -> str:
        kept = self._told_addresses(created.handle)
        return kept.get(which) or self._addresses(endpoint, created.id)[which]

    # Asking

    def _get(self, url: str, take: Callable[[Reply], bool], params: Mapping[str, Any] | None = None) -> Reply:
        return self._asked("queue").request("GET", url, params=params, tries=TRIES, take=take)

    def _platform(self, path: str, params: Mapping[str, Any]) -> Any:
        with worded(str(params["endpoint_id"])):
            return self._asked("api").get_json(path, params, tries=FREE_TRIES)

    def _unit(self, endpoint: str) -> float | None:
        """The price of one unit, as it was told last."""
        if endpoint not in self._unit_usd:
            self.price(endpoint)
        return self._unit_usd.get(endpoint)

    def _asked(self, role: str) -> Client:
        """The client of one of fal's addresses."""
        if role not in self._clients:
            self._clients[role] = Client(_base(role), _headers, sleep=self._sleep, name="fal")
        return self._clients[role]


def _base(role: str) -> str:
    return os.environ.get(BASE_VARIABLE, "").strip().rstrip("/") or BASES[role]


def _headers() -> dict[str, str]:
    """The header with the key. Raises NotInstalled where none is set."""
    key = keys.key(NAME)
    if key is None:
        raise NotInstalled(f"There is no key for fal; {keys.advice(NAME)}.")
    return {"Authorization": f"Key {key.reveal()}"}


def _submitting() -> dict[str, str]:
    """The headers of a purchase: tried once, at this endpoint alone (its price was quoted), begun soon or never.

    The time to begin has an older name and a newer one; both are sent.
    """
    begins = str(int(STARTS_WITHIN.total_seconds()))
    return {
        "x-fal-no-retry": "1",
        "x-app-fal-disable-fallback": "true",
        "x-fal-request-timeout": begins,
        "x-fal-request-start-timeout": begins,
        **lifecycle(RESULTS_LAST),
    }


def _webhook(purchase: Purchase) -> dict[str, str] | None:
    """Where fal tells of the end; nothing where no address is set."""
    address = hooks.address(NAME, purchase.mark)
    return {"fal_webhook": address} if address else None


def _when(item: Mapping[str, Any]) -> datetime:
    """When a request was sent, by the list (UTC where it names no zone). Raises Ambiguous where it does not tell."""
    try:
        moment = datetime.fromisoformat(str(item["sent_at"]))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (KeyError, ValueError):
        raise Ambiguous(
            "fal's list of requests does not tell when they were sent; look for a newer loradeck."
        ) from None


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _object(told: Any) -> dict[str, Any]:
    """An answer that must be an object. Raises Ambiguous for any other."""
    if not isinstance(told, dict):
        raise Ambiguous("fal answered in a form that is not known; look whether there is a newer loradeck.")
    return told


def _known_or_gone(reply: Reply) -> bool:
    return reply.is_json and (fine(reply) or reply.status == 404)


def _ended_or_gone(reply: Reply) -> bool:
    return fine(reply) or (reply.is_json and reply.status in {400, 404})
