"""Claude as a captioner (`engines.base.Captioner`): quotes, asks for each picture once, and goes on where it was."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Sequence

from loradeck.engines.anthropic import models
from loradeck.engines.base import Availability, Captioner, CaptionJob, Cost, Described, Reporter
from loradeck.engines.errors import NotInstalled
from loradeck.engines.hosted.answered import Answers
from loradeck.engines.hosted.keys import Key, advice, key

NAME = "anthropic"
BASE_URL = "https://api.anthropic.com"
PICTURE_MINUTES = 0.1
"""What a picture takes at Anthropic, several being under way."""
BATCH_MINUTES = 60.0
"""Most batches end within an hour; all do within a day."""


def create() -> Captioner:
    """The captioner, with the key and the address that the environment gives when they are needed."""
    return AnthropicCaptioner()


class AnthropicCaptioner:
    """Describes pictures with a Claude model. `sleep` is for tests."""

    name = NAME
    follows = True

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def available(self) -> Availability:
        """Ready where the package is installed and a key is set; asks nobody."""
        if importlib.util.find_spec("anthropic") is None:
            return Availability(False, "the package anthropic is not installed.", "pip install anthropic")
        if key(NAME) is None:
            return Availability(False, "there is no key for Anthropic.", f"To set one, {advice(NAME)}.")
        return Availability(True)

    def estimate(self, jobs: Sequence[CaptionJob]) -> Cost:
        """Minutes and USD, from the pictures' sizes and the words that go with them."""
        from loradeck.engines.anthropic import request
        from loradeck.engines.anthropic.batches import FROM
        from loradeck.engines.anthropic.one_by_one import AT_ONCE

        row, batch = models.model(), len(jobs) >= FROM
        usual = sum(request.usual_usd(job, row, batch=batch) for job in jobs)
        worst = sum(request.worst_usd(job, row, batch=batch) for job in jobs)
        how = "batches at half the price" if batch else "a request for each picture"
        priced = "" if row.known else "; its price is not known here and counted as the dearest model's"
        return Cost(
            minutes=BATCH_MINUTES if batch else PICTURE_MINUTES * len(jobs) / AT_ONCE,
            usd=usual if row.known else worst,
            worst_usd=worst,
            basis=f"{row.name}, {how}{priced}",
            price_source="table",
            price_date=models.CHECKED,
        )

    def describe(
        self, jobs: Sequence[CaptionJob], reporter: Reporter, done: Callable[[Described], None]
    ) -> tuple[str, ...]:
        """Describe pictures: many in batches, a few by a request each. See `engines.base.Captioner`."""
        from loradeck.engines.anthropic.batches import FROM, Batches
        from loradeck.engines.anthropic.client import Client
        from loradeck.engines.anthropic.one_by_one import OneByOne

        answers, row = Answers(reporter.journal, jobs, done), models.model()
        answers.replay()
        answers.settle(reporter.purse)
        client = Client(self._key(), os.environ.get("ANTHROPIC_BASE_URL", "").strip() or BASE_URL)
        try:
            batches = Batches(client, row, answers, reporter, self._sleep)
            batches.follow()
            waiting = answers.open
            if len(waiting) >= FROM:
                batches.describe(waiting)
            elif waiting:
                OneByOne(client, row, answers, reporter, self._sleep).describe(waiting)
        finally:
            client.close()
        return answers.told()

    def _key(self) -> Key:
        found = key(NAME)
        if found is None:
            raise NotInstalled(f"There is no key for Anthropic: {advice(NAME)}, then make the same call again.")
        return found
