"""The rules on the captions of a whole set: what they share, how alike they are, who wrote them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from loradeck.tools.rulebook.captions import is_bare
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, Scope, everywhere, graded, set_rule
from loradeck.tools.rulebook.tables import Thresholds
from loradeck.tools.rulebook.words import body, content, lemmas, sentences, words

SHOWN_PHRASES = 5
MOST_TOLD = 10
RARE_WORDS = 6
SHAPE_PARTS = 5


def _full(facts: SetFacts) -> list[tuple[KeptImage, str]]:
    """Images with the text of their caption, the trigger removed; trigger-only captions are left out."""
    pairs = [(image, image.caption) for image in facts.captioned]
    return [(image, body(text, facts.trigger)) for image, text in pairs if text and not is_bare(text, facts.trigger)]


# --------------------------------------------------------------------------- the trigger of the set


@set_rule("CAP-TRIGGER", Scope.CAPTION_SET, everywhere(ERROR), f"{GUIDE}: the trigger comes first")
def every_image_has_the_trigger(facts: SetFacts) -> Iterable[Remark]:
    """A trigger is registered, and every kept image has a caption that can carry it."""
    if facts.trigger is None:
        yield Remark(
            "No trigger is registered, so nothing will call the look.",
            'curate_dataset(dataset_id=..., trigger="a made-up word").',
        )
    missing = [image for image in facts.images if image.caption is None]
    if missing:
        yield Remark(
            f"{len(missing)} of {len(facts.images)} kept images have no caption, so not even the trigger calls them.",
            "write_captions for these images (or reject them with curate_dataset).",
            tuple(image.id for image in missing),
        )


# --------------------------------------------------------------------------- what captions share


def phrase_shares(texts: Iterable[str], limits: Thresholds) -> dict[tuple[str, ...], float]:
    """Phrase (lemmas, up to five words, two content words or more, within a sentence) -> share of texts it stands in.

    Only phrases at the warning share or above, and of these only the longest ones.
    """
    spoken = [[lemmas(part) for part in sentences(text)] for text in texts]
    needed = limits.redundant_warning * len(spoken)
    common = {
        word for word, count in Counter(w for text in spoken for w in set().union(*text)).items() if count >= needed
    }
    counts: Counter[tuple[str, ...]] = Counter()
    for text in spoken:
        counts.update({phrase for part in text for phrase in _phrases(part, common, limits)})
    shared = {phrase: count / len(spoken) for phrase, count in counts.items() if count >= needed}
    return {phrase: share for phrase, share in shared.items() if not _within_longer(phrase, share, shared, limits)}


def _phrases(tokens: tuple[str, ...], common: set[str], limits: Thresholds) -> Iterator[tuple[str, ...]]:
    """The runs of common words with enough content; a phrase neither starts nor ends with a function word."""
    for start in range(len(tokens)):
        for end in range(start + 1, min(len(tokens), start + limits.phrase_words) + 1):
            if tokens[end - 1] not in common:
                break
            phrase = tokens[start:end]
            whole = phrase[0] not in FUNCTION_WORDS and phrase[-1] not in FUNCTION_WORDS
            if whole and len(content(phrase)) >= limits.phrase_content_words:
                yield phrase


def _within_longer(
    phrase: tuple[str, ...], share: float, shared: dict[tuple[str, ...], float], limits: Thresholds
) -> bool:
    """True when a longer phrase holds this one and is about as common (in the same class of severity)."""
    grave = share >= limits.redundant_error
    return any(
        len(other) > len(phrase)
        and (other_share >= limits.redundant_error) == grave
        and any(other[at : at + len(phrase)] == phrase for at in range(len(other) - len(phrase) + 1))
        for other, other_share in shared.items()
    )


@set_rule("CAP-REDUNDANT", Scope.CAPTION_SET, graded(ERROR, WARNING), f"{GUIDE}: the redundancy rule")
def nothing_said_everywhere(facts: SetFacts) -> Iterable[Remark]:
    """No phrase with two content words or more, the trigger aside, stands in 80% or more of the captions; from 50% on
    it is a warning.
    """
    texts = [text for _, text in _full(facts)]
    if len(texts) < facts.limits.set_rules_from:
        return
    ranked = sorted(phrase_shares(texts, facts.limits).items(), key=lambda item: (-item[1], item[0]))
    for phrase, share in ranked[:SHOWN_PHRASES]:
        most = facts.limits.redundant_error if share >= facts.limits.redundant_error else facts.limits.redundant_warning
        yield Remark(
            f'"{" ".join(phrase)}" stands in {share:.0%} of {len(texts)} captions, wanted under {most:.0%}.',
            "write_captions again (overwrite=true) without what never varies; the look takes it from the pixels.",
            severity=None if share >= facts.limits.redundant_error else WARNING,
        )


def first_sentence_shape(text: str) -> str:
    """How the first sentence is built: its function words with "*" for what stands between, the first five parts."""
    first = next(iter(sentences(text)), "")
    parts: list[str] = []
    for word in words(first):
        part = word if word in FUNCTION_WORDS else "*"
        if part != "*" or parts[-1:] != ["*"]:
            parts.append(part)
    return " ".join(parts[:SHAPE_PARTS])


@set_rule("CAP-TEMPLATE", Scope.CAPTION_SET, everywhere(WARNING), f"{GUIDE}: varied sentence structure")
def shapes_vary(facts: SetFacts) -> Iterable[Remark]:
    """First-sentence shapes vary: no single shape above 50% of the captions."""
    shapes = Counter(first_sentence_shape(text) for _, text in _full(facts))
    if shapes.total() < facts.limits.set_rules_from:
        return
    shape, count = min(shapes.items(), key=lambda item: (-item[1], item[0]))
    share = count / shapes.total()
    if share > facts.limits.template_warning:
        yield Remark(
            f'{share:.0%} of the captions open in the same shape ("{shape}"), wanted at most '
            f"{facts.limits.template_warning:.0%}.",
            "write_captions again (overwrite=true) with sentences built in different ways.",
        )


# --------------------------------------------------------------------------- captions that are alike


def near_pairs(texts: list[str], limits: Thresholds) -> Iterator[tuple[int, int, float]]:
    """Index pairs of texts that differ by little, with their likeness (0-100), in order.

    Near texts share at least one of their rarest words, so only such pairs are compared.
    """
    from rapidfuzz import fuzz

    frequency = Counter(word for text in texts for word in set(words(text)))
    holders: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        rare = sorted(set(words(text)), key=lambda word: (frequency[word], word))[:RARE_WORDS]
        for other in sorted({other for word in rare for other in holders[word]}):
            likeness = fuzz.ratio(text.lower(), texts[other].lower(), score_cutoff=limits.near_duplicate)
            if likeness and _same_content(text, texts[other], limits.near_duplicate_content):
                yield other, index, likeness
        for word in rare:
            holders[word].append(index)


def _same_content(left: str, right: str, share: float) -> bool:
    """True when two texts share most content words: short ones may differ in the one word that matters."""
    first, second = set(content(lemmas(left))), set(content(lemmas(right)))
    return len(first & second) >= share * len(first | second)


@set_rule("CAP-DUPLICATE", Scope.CAPTION_SET, everywhere(ERROR), f"{GUIDE}: one image, one caption")
def captions_differ(facts: SetFacts) -> Iterable[Remark]:
    """No two captions are equal for images that differ; near-equal ones are a warning. Ten of each are told."""
    same: dict[tuple[str, ...], list[tuple[KeptImage, str]]] = defaultdict(list)
    for image, text in _full(facts):
        same[words(text)].append((image, text))
    equal = ([image for image, _ in group] for group in same.values())
    for group in islice((group for group in equal if len({image.sha256 for image in group}) > 1), MOST_TOLD):
        yield Remark(
            f"Images {', '.join(str(image.number) for image in group[:MOST_TOLD])} differ but have the same caption.",
            "write_captions for each of them with what sets it apart.",
            tuple(image.id for image in group),
        )
    unique = [group[0] for group in same.values()]
    for left, right, likeness in islice(near_pairs([text for _, text in unique], facts.limits), MOST_TOLD):
        first, second = unique[left][0], unique[right][0]
        yield Remark(
            f"The captions of images {first.number} and {second.number} are {likeness:.0f}% alike, wanted under "
            f"{facts.limits.near_duplicate:.0f}%.",
            "write_captions for one of them with what sets it apart.",
            (first.id, second.id),
            WARNING,
        )


# --------------------------------------------------------------------------- who wrote them


@set_rule("CAP-SEEN", Scope.CAPTION_SET, everywhere(WARNING), "honest captions: written by someone who looked")
def written_by_someone_who_looked(facts: SetFacts) -> Iterable[Remark]:
    """Captions come with the code of the sheet or image that shows it, unless they were built from attributes that a
    person, a metadata file, a detector or a vision model gave.
    """
    unseen = [
        image
        for image in facts.captioned
        if not (image.seen or image.vouched or is_bare(image.caption or "", facts.trigger))
    ]
    if unseen:
        yield Remark(
            f"{len(unseen)} of {len(facts.captioned)} captions were written without the code of a sheet that shows "
            "the image.",
            "view_images(of=dataset_id), then write_captions(overwrite=true, sheet_code=...) with the sheet's code.",
            tuple(image.id for image in unseen),
        )
