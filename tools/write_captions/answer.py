"""What write_captions answers: counts, refusals with proposals, what is still missing, the next call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from loradeck.tools.contracts import CaptionRefusal, CaptionRow, WriteCaptionsResult
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.words import body, words
from loradeck.tools.write_captions.drafts import Judged

MOST_ROWS = 50
MOST_NUMBERS = 20
WRITTEN_CHARACTERS, REFUSED_CHARACTERS = 15_000, 35_000
"""Room for each list, so that the answer can be read in one go however long the captions are."""
Row = TypeVar("Row", CaptionRow, CaptionRefusal)


@dataclass(frozen=True)
class Outcome:
    """What a call did. `after` is the set with the saved captions in it."""

    judged: Sequence[Judged]
    skipped: int
    set_aside: Sequence[int]
    outranked: Sequence[str]
    unknown: Sequence[str]
    strange_codes: Sequence[str]
    attributes: int
    after: SetFacts


def answer(dataset_id: str, outcome: Outcome) -> WriteCaptionsResult:
    """The result model for an outcome."""
    saved = [one for one in outcome.judged if not one.refused]
    refused = [one for one in outcome.judged if one.refused]
    missing = [image for image in outcome.after.images if image.caption is None]
    ranked = sorted(saved, key=lambda one: not one.findings)
    listed = _fitting([one.refusal() for one in refused], REFUSED_CHARACTERS)
    cut = [f"The first {len(listed)} of the refused are listed."] if len(listed) < len(refused) else []
    return WriteCaptionsResult(
        summary=" ".join([*_sentences(outcome, len(saved), len(refused), len(missing)), *cut]),
        next_step=_next_step(dataset_id, outcome.unknown, refused, [image.number for image in missing]),
        dataset_id=dataset_id,
        accepted=len(saved),
        written=_fitting([one.row() for one in ranked[:MOST_ROWS]], WRITTEN_CHARACTERS),
        refused=listed,
        unknown=list(outcome.unknown),
        missing=[image.id for image in missing],
    )


def _fitting(rows: Sequence[Row], characters: int) -> list[Row]:
    """The first rows, as many as there is room for."""
    fitting: list[Row] = []
    for row in rows:
        characters -= len(row.model_dump_json())
        if characters < 0:
            break
        fitting.append(row)
    return fitting


def _sentences(outcome: Outcome, saved: int, refused: int, missing: int) -> list[str]:
    done = f"{_count(saved, 'caption')} saved"
    done += f", {refused} refused" if refused else ""
    done += f", {outcome.skipped} kept as they were (overwrite=false)" if outcome.skipped else ""
    done += f", attributes of {_count(outcome.attributes, 'image')} taken" if outcome.attributes else ""
    said = [f"{done}; {missing} of {len(outcome.after.images)} kept images still have none."]
    if outcome.unknown:
        said.append(f"Not saved, since no image here is called so: {', '.join(outcome.unknown[:MOST_NUMBERS])}.")
    if outcome.strange_codes:
        codes = ", ".join(outcome.strange_codes[:MOST_NUMBERS])
        said.append(f"Not the code of a sheet of this dataset: {codes} (view_images prints it on each sheet).")
    if _unseen(outcome):
        said.append("CAP-SEEN: these came without the code of a sheet that shows the images, and are marked as unseen.")
    if outcome.outranked:
        said.append(f"A person said otherwise, so left as it was: {', '.join(outcome.outranked[:MOST_NUMBERS])}.")
    if outcome.set_aside:
        said.append(f"Not kept and so not captioned: {_numbers(outcome.set_aside)}.")
    return said


def _unseen(outcome: Outcome) -> bool:
    """True when a caption was saved that says more than the trigger and that nobody vouches for."""
    saved = {one.draft.image_id for one in outcome.judged if not one.refused}
    return any(
        image.id in saved
        and not (image.seen or image.vouched)
        and bool(words(body(image.caption or "", outcome.after.trigger)))
        for image in outcome.after.images
    )


def _next_step(dataset_id: str, unknown: Sequence[str], refused: Sequence[Judged], missing: Sequence[int]) -> str:
    if refused:
        ready = sum(one.proposal is not None for one in refused)
        how = f"{ready} of them with a proposal that passes as it is" if ready else "mend them by their findings"
        return f"write_captions again for the {len(refused)} refused; {how}."
    if unknown:
        return (
            f"write_captions again for the {len(unknown)} that named no image, by the numbers on the sheets of "
            f'view_images(of="{dataset_id}").'
        )
    if missing:
        return (
            f'view_images(of="{dataset_id}"), then write_captions for {_numbers(missing)}: captions, or attributes '
            "with mode=attributes."
        )
    return f'validate_coverage(dataset_id="{dataset_id}").'


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _numbers(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - MOST_NUMBERS} more" if len(numbers) > MOST_NUMBERS else ""
    return f"numbers {', '.join(map(str, numbers[:MOST_NUMBERS]))}{more}"
