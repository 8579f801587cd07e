"""What captioners answered, kept in the run's journal: what was paid once is never asked again.

An answer is written down before anything else is made of it, so that a crash at any later point finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loradeck.engines.base import CaptionJob, Described, Journal, Purse

MOST_NAMED = 10
UNSURE = (
    "It is not known whether these requests arrived, so they are not sent again by themselves, and count at their "
    "worst; a new call with overwrite=false asks for them anew."
)


@dataclass(frozen=True)
class Answer:
    """What came back for one picture. `failed` says why it is no use; it was paid all the same where `usd` says so.

    `usd` is None where the host does not tell. `provider_id` is the request's id there.
    """

    caption: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    usd: float | None = None
    provider_id: str = ""
    failed: str = ""


class Answers:
    """The answers of a run, as one call of `describe` needs them: kept, handed on, and what failed told in the end."""

    def __init__(self, journal: Journal, jobs: Sequence[CaptionJob], done: Callable[[Described], None]) -> None:
        self._journal, self._done = journal, done
        self.jobs = {key_of(job): job for job in jobs}
        self._known: set[str] = set()
        self._failures: dict[str, list[str]] = {}

    def replay(self) -> None:
        """Hand on what earlier calls of this run were answered."""
        for key in self.jobs:
            kept = self._journal.get(key)
            if kept is not None:
                self._hand_on(key, Answer(**kept))

    def settle(self, purse: Purse) -> None:
        """Bring the ledger to agree with what earlier calls of this run came to.

        What was answered is settled. What was to be sent and has no answer may have arrived, and is not sent again.
        """
        for key in self.jobs:
            bought = purse.get(key)
            if bought is None or bought.state in {"settled", "void"}:
                continue
            kept = self._journal.get(key)
            if kept is None:
                if bought.state != "unknown":
                    purse.unknown(key, "The process ended before the answer was there.")
                self.fail([key], UNSURE)
            else:
                purse.submitted(key, Answer(**kept).provider_id)
                purse.settle(key, Answer(**kept).usd)

    @property
    def open(self) -> list[str]:
        """Keys of the pictures that have no answer, and of which nothing was told either."""
        told = {key for keys in self._failures.values() for key in keys}
        return [key for key in self.jobs if key not in self._known and key not in told]

    def write(self, key: str, answer: Answer) -> None:
        """Keep an answer durably; only then does its purchase count as answered."""
        self._journal.put(key, asdict(answer))

    def take(self, key: str, answer: Answer) -> None:
        """Keep an answer, and hand it on; one that was handed on before is left alone."""
        self.write(key, answer)
        self._hand_on(key, answer)

    def fail(self, keys: Iterable[str], why: str) -> None:
        """Tell why pictures have no answer, in a sentence that names the next step."""
        self._failures.setdefault(why, []).extend(key for key in keys if key in self.jobs)

    def told(self) -> tuple[str, ...]:
        """A sentence for each reason, with the pictures that it befell."""
        return tuple(f"{self._named(keys)}: {why}" for why, keys in self._failures.items() if keys)

    def _hand_on(self, key: str, answer: Answer) -> None:
        if key in self._known or key not in self.jobs:
            return
        self._known.add(key)
        if answer.failed:
            self.fail([key], answer.failed)
        else:
            self._done(Described(self.jobs[key].id, answer.caption, answer.attributes, answer.usd))

    def _named(self, keys: Sequence[str]) -> str:
        names = [job.image.name for key, job in self.jobs.items() if key in keys]
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        return ", ".join(names[:MOST_NAMED]) + more


def key_of(job: CaptionJob) -> str:
    """The name of a picture's request in the journal and the ledger; its second try is another one."""
    return f"caption-{job.id}{'-again' if job.again else ''}"
