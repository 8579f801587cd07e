"""The caption that each candidate will train with: composed from what it shows, or the caller's, and judged as any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loradeck.state.files import sha256_json
from loradeck.tools.contracts import AttributeSource, CaptionMode
from loradeck.tools.errors import BadArgument
from loradeck.tools.generate_candidates.chain import Candidate, Chained, from_caption, renumbered
from loradeck.tools.generate_candidates.wording import expression_of
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.words import Opening, body, opening, tidy
from loradeck.tools.validate_coverage.asked import wishes
from loradeck.tools.write_captions.compose import compose, what_is_known
from loradeck.tools.write_captions.drafts import Draft, Judged, judge_drafts

MOST_CHARACTERS = 4000
MOST_TOLD = 5


@dataclass
class Captioned:
    """Candidates with their captions, the refused ones left out, and what is to be said."""

    candidates: list[Candidate] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def with_captions(chained: Chained, facts: SetFacts) -> Captioned:
    """Every candidate with its caption, numbered anew.

    One whose own words a rule refuses is left out and told; a composed caption that a rule refuses is left empty, since
    the picture can still be looked at and described.
    """
    images = {one.number: _planned(one) for one in chained.candidates}
    grown = replace(facts, images=(*facts.images, *images.values()))
    worded = [
        one if one.caption else replace(one, caption=_composed(one, images[one.number], grown))
        for one in chained.candidates
    ]
    drafts = [_draft(one, images[one.number]) for one in worded if one.caption]
    judged = {one.draft.image_id: one for one in judge_drafts(grown, drafts)}
    found = Captioned(told=list(chained.told))
    refused: list[tuple[Candidate, Judged]] = []
    for one in worded:
        verdict = judged.get(images[one.number].id)
        if verdict is None or not verdict.refused:
            found.candidates.append(one)
        elif one.composed:
            found.candidates.append(replace(one, caption=verdict.proposal or ""))
        else:
            refused.append((one, verdict))
    bare = sum(not one.caption for one in found.candidates)
    if bare:
        found.told.append(f"{bare} captions cannot be composed from the shots; write them once the pictures are kept.")
    found.told += [_refusal(one, verdict) for one, verdict in refused[:MOST_TOLD]]
    if len(refused) > MOST_TOLD:
        found.told.append(f"{len(refused) - MOST_TOLD} more captions were refused and left out.")
    found.candidates = renumbered(found.candidates)
    return found


def given(captions: Sequence[str] | Mapping[str, Sequence[str]], facts: SetFacts, seed: int) -> Chained:
    """A candidate a caption, drawn from its words and the look's. Raises BadArgument for what is no caption."""
    by_category = captions if isinstance(captions, Mapping) else {"": captions}
    _known_categories(by_category, facts)
    chained = Chained()
    for category, texts in by_category.items():
        for text in map(tidy, texts):
            words = body(text, facts.trigger)
            if not words or len(text) > MOST_CHARACTERS:
                raise BadArgument(
                    f"A caption needs words beside the trigger, and {MOST_CHARACTERS} characters at most; mend "
                    f"{text[:60]!r} and call again."
                )
            shown = {wish.attribute: wish.value for wish in wishes(words, facts) if wish.value}
            attributes = {**shown, **({"category": category} if category else {})}
            number = len(chained.candidates) + 1
            caption = _begun(text, words, facts)
            chained.candidates.append(from_caption(number, caption, words, attributes, facts.subject, seed))
    return chained


def _known_categories(by_category: Mapping[str, Sequence[str]], facts: SetFacts) -> None:
    declared = {name.strip().lower() for name in facts.categories}
    strange = [name for name in by_category if name and declared and name.strip().lower() not in declared]
    if strange:
        raise BadArgument(
            f"The set declares no category {strange[0]!r}; its categories are {', '.join(facts.categories)}: use one "
            "of these, or declare others with curate_dataset(categories=[...])."
        )


def _begun(text: str, words: str, facts: SetFacts) -> str:
    """The caption with the trigger in front; one that has it somewhere is left to the rules."""
    trigger = facts.trigger or ""
    if opening(text, trigger)[0] != Opening.ABSENT:
        return text
    return f"{trigger}, {words}" if facts.is_figure else f"{trigger}. {words[:1].upper()}{words[1:]}"


def _planned(one: Candidate) -> KeptImage:
    """The candidate as the rules will see it once it is kept."""
    return KeptImage(
        id=f"img_planned{one.number}",
        number=-one.number,
        sha256=sha256_json([one.shot, one.seed]),
        original_size=(1024, 1024),
        copy_size=(1024, 1024),
        attributes=one.attributes,
        sources=dict.fromkeys(one.attributes, str(AttributeSource.METADATA)),
    )


def _draft(one: Candidate, image: KeptImage) -> Draft:
    return Draft(image.id, one.caption, mode_of(one), seen=False)


def mode_of(one: Candidate) -> CaptionMode:
    """Who worded a candidate's caption."""
    return CaptionMode.ATTRIBUTES if one.composed else CaptionMode.GIVEN


def _composed(one: Candidate, image: KeptImage, facts: SetFacts) -> str:
    """The caption that the attributes give, an expression told by what it looks like; empty where they give none."""
    known = what_is_known(facts, image, image.sha256, [])
    if known.look:
        known = replace(known, look=_look(one.attributes))
    return compose(facts, known) or ""


def _look(attributes: Mapping[str, Any]) -> str:
    return expression_of(str(attributes["expression"]), attributes.get("intensity")).captioned


def _refusal(one: Candidate, verdict: Judged) -> str:
    first = verdict.findings[0]
    mended = f" This would pass: {verdict.proposal!r}" if verdict.proposal else f" {first.fix}"
    return f"Left out, {one.caption[:80]!r}: {first.rule_id}: {first.why}{mended}"
