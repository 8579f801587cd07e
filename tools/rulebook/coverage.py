"""The rules on coverage: enough images, from enough sides, with enough variety.

Shares are of the kept images whose attribute is known; COV-KNOWN says how many are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from loradeck.tools.contracts import Angle, Profile
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import EXPRESSION_FAMILIES, GENERIC, PLAIN_GROUND
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, Scope, everywhere, for_figures, graded, set_rule
from loradeck.tools.rulebook.tables import BRAND, NEUTRAL_WANTED, OUTFITS_WANTED
from loradeck.tools.rulebook.words import content, lemmas, words

NEUTRAL = "neutral"
LIT_PROFILES = {Profile.CHARACTER, Profile.MOTION, Profile.STYLE, Profile.PRODUCT, Profile.PREMIUM}
"""Profiles whose light may vary; an icon or a logo has none to speak of."""
NAMED_IDS = 10


# --------------------------------------------------------------------------- classes


def expression_family(expression: str) -> str:
    """The family of an expression: "furious glare" -> anger; one that no family knows is its own."""
    for word in words(expression):
        for family, members in EXPRESSION_FAMILIES.items():
            if word in members:
                return family
    return expression


def same_thing(value: str) -> str:
    """One key for wordings that say the same: "a corridor, industrial" and "industrial corridor"."""
    tokens = set(content(lemmas(value)))
    return " ".join(sorted(tokens - GENERIC or tokens)) or value


def is_plain(image: KeptImage) -> bool:
    """True when the background is a plain neutral one, as said or, where nothing is said, as measured."""
    said = image.known("background")
    if said is None:
        return image.plain_background is True
    tokens = set(content(lemmas(said)))
    return bool(tokens) and tokens <= PLAIN_GROUND


def counted(facts: SetFacts, name: str) -> Counter[str]:
    """How many kept images hold each value of an attribute; unknown ones are left out."""
    return Counter(same_thing(value) for image in facts.images if (value := image.known(name)))


def expressions(facts: SetFacts) -> Counter[str]:
    """Expression family -> images in which a face shows."""
    known = (image.known("expression") for image in facts.images if image.face_shows)
    return Counter(expression_family(value) for value in known if value)


def _largest(counts: Counter[str]) -> tuple[str, float]:
    name, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return name, count / counts.total()


# --------------------------------------------------------------------------- how many


@set_rule("COV-COUNT", Scope.COVERAGE, everywhere(WARNING), "volume per profile; 10-15 is a minimum, 20-35 good")
def enough_images(facts: SetFacts) -> Iterable[Remark]:
    """As many images as the profile needs: an error below its block, a warning below or above its warning marks."""
    row, count = facts.row, len(facts.images)
    best = f"{row.best[0]} to {row.best[1]} are best for {facts.profile}"
    if count < row.warn_below:
        block = count < row.block_below
        why = f"{count} images are kept; {row.block_below if block else row.warn_below} are the least, {best}."
        yield Remark(
            why,
            "curate_dataset with more images (shot_list of validate_coverage).",
            severity=ERROR if block else None,
        )
    elif count > row.warn_above:
        yield Remark(
            f"{count} images are kept, more than {row.warn_above}; {best}.",
            "curate_dataset(reject=[...]) for those that add nothing new.",
        )


def needed_attributes(facts: SetFacts) -> list[str]:
    """The attributes that coverage rules read for this set."""
    if facts.profile in BRAND:
        return ["subject", *(["category"] if facts.categories else [])]
    if not facts.is_figure:
        return ["background", *(["category"] if facts.categories else [])]
    names = ["framing", "angle", "background", "lighting"]
    names += ["expression"] if facts.emotes else []
    names += ["wardrobe"] if facts.wears else []
    return names


@set_rule("COV-KNOWN", Scope.COVERAGE, graded(ERROR, WARNING), f"{GUIDE}: coverage matrix")
def attributes_are_known(facts: SetFacts) -> Iterable[Remark]:
    """The attributes that a rule needs are known; for a figure more than 10% unknown is an error."""
    asked = {name: _asked(facts, name) for name in needed_attributes(facts)}
    lacking = {name: [one for one in images if one.known(name) is None] for name, images in asked.items()}
    lacking = {name: unknown for name, unknown in lacking.items() if unknown}
    wanted = ", ".join(f"{name}: ..." for name in lacking)  # all in each fix, so that one call mends them all
    fix = (
        "Look with view_images(of=dataset_id), then give all that is unknown in one "
        f"write_captions(dataset_id=..., images=[{{image_id, attributes: {{{wanted}}}}}])."
    )
    for name, unknown in lacking.items():
        grave = facts.is_figure and len(unknown) > facts.limits.unknown_error * len(asked[name])
        numbers = ", ".join(str(image.number) for image in unknown[:NAMED_IDS])
        more = f" and {len(unknown) - NAMED_IDS} more" if len(unknown) > NAMED_IDS else ""
        yield Remark(
            f"The {name} of {len(unknown)} of {len(asked[name])} images is unknown (numbers {numbers}{more}).",
            fix,
            tuple(image.id for image in unknown),
            ERROR if grave else WARNING,
        )


def _asked(facts: SetFacts, name: str) -> list[KeptImage]:
    """The images that should have an attribute: an expression needs a face."""
    return [image for image in facts.images if name != "expression" or image.face_shows]


# --------------------------------------------------------------------------- from where


@set_rule("COV-FRAMING", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: coverage matrix")
def framings_are_balanced(facts: SetFacts) -> Iterable[Remark]:
    """Close-up 33-40%, medium 25-30%, full body 20-25%, back and others about 10%; an empty class is an error (back: a
    warning), more than 10 points outside a band a warning.
    """
    counts = Counter(name for image in facts.images if (name := image.framing_class))
    if not counts:
        return
    for name, low, high in facts.limits.framing_bands:
        share, label = counts[name] / counts.total(), name.replace("_", " ")
        wanted = f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%}"
        if counts[name] == 0 or not low - facts.limits.framing_slack <= share <= high + facts.limits.framing_slack:
            empty = counts[name] == 0 and name != "back_or_other"
            yield Remark(
                f"{counts[name]} of {counts.total()} images are {label} ({share:.0%}), wanted {wanted}.",
                f"{'Add' if share < low else 'Replace some of the'} {label} images (shot_list of validate_coverage).",
                severity=ERROR if empty else None,
            )


@set_rule("COV-ANGLE", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: angle diversity matters most")
def angles_differ(facts: SetFacts) -> Iterable[Remark]:
    """Five or more distinct camera angles; fewer than three is an error."""
    angles = {name for image in facts.images if (name := image.angle_class)}
    least, wanted = facts.limits.angles
    if angles and len(angles) < wanted:
        listed = ", ".join(sorted(angles)).replace("_", " ")
        yield Remark(
            f"{len(angles)} camera angles ({listed}), wanted {wanted} or more.",
            "Add other angles (shot_list of validate_coverage), profiles and three-quarter views first.",
            severity=ERROR if len(angles) < least else None,
        )


@set_rule("COV-FRONTAL", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: insufficient diversity")
def not_all_frontal(facts: SetFacts) -> Iterable[Remark]:
    """Not front-facing neutral over and over: 80% is an error, 60% a warning."""
    frontal = [
        image
        for image in facts.images
        if image.angle == Angle.FRONT and expression_family(image.known("expression") or NEUTRAL) == NEUTRAL
    ]
    share = len(frontal) / max(1, len(facts.images))
    grave, mild = facts.limits.frontal
    if share >= mild:
        yield Remark(
            f"{share:.0%} of the images are front-facing and neutral, wanted under {mild:.0%}.",
            "Add other angles and expressions (shot_list of validate_coverage).",
            severity=ERROR if share >= grave else None,
        )


# --------------------------------------------------------------------------- expressions


@set_rule("COV-EXPRESSION", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: expression guidelines")
def expressions_differ(facts: SetFacts) -> Iterable[Remark]:
    """Five to seven distinct families of expression; fewer than three is an error."""
    families = expressions(facts)
    least, low, high = facts.limits.expressions
    if facts.emotes and families and not low <= len(families) <= high:
        yield Remark(
            f"{len(families)} kinds of expression ({', '.join(sorted(families))}), wanted {low} to {high}.",
            f"{'Add' if len(families) < low else 'Leave out some'} expressions (shot_list of validate_coverage).",
            severity=ERROR if len(families) < least else None,
        )


@set_rule("COV-NEUTRAL", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: neutral is the commonest")
def neutral_is_commonest(facts: SetFacts) -> Iterable[Remark]:
    """Neutral is the commonest expression, 30-40%; not the commonest is an error, outside 25-50% a warning."""
    families = expressions(facts)
    if not facts.emotes or not families:
        return
    share = families[NEUTRAL] / families.total()
    commonest = families[NEUTRAL] == max(families.values())
    low, high = facts.limits.neutral
    if not commonest or not low <= share <= high:
        ahead = "" if commonest else f", behind {_largest(families)[0]}"
        yield Remark(
            f"{share:.0%} of the expressions are neutral{ahead}, wanted the commonest at {NEUTRAL_WANTED[0]:.0%} to "
            f"{NEUTRAL_WANTED[1]:.0%}.",
            "Add neutral images." if share < low or not commonest else "Add images with other expressions.",
            severity=None if commonest else ERROR,
        )


@set_rule("COV-REPEAT", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: no single expression over and over")
def no_expression_repeats(facts: SetFacts) -> Iterable[Remark]:
    """No other expression more than 5-6 times in 25-30: 20% is a warning, 35% an error."""
    families = expressions(facts)
    grave, mild = facts.limits.repeat
    for family, count in sorted(families.items()):
        share = count / families.total()
        if family != NEUTRAL and share >= mild and facts.emotes:
            yield Remark(
                f'"{family}" is {share:.0%} of the expressions ({count} images), wanted under {mild:.0%}.',
                f'Replace some "{family}" images with other expressions.',
                severity=ERROR if share >= grave else None,
            )


# --------------------------------------------------------------------------- what surrounds


@set_rule("COV-WARDROBE", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: wardrobe baking")
def outfits_vary(facts: SetFacts) -> Iterable[Remark]:
    """Three to five outfits; one in a set of 15 images or more is an error, two a warning."""
    outfits = counted(facts, "wardrobe")
    if not facts.wears or not outfits or len(outfits) >= OUTFITS_WANTED[0]:
        return
    large = len(facts.images) >= facts.limits.wardrobe_images
    if len(outfits) == 1 and not large:
        return
    low, high = OUTFITS_WANTED
    said = f"{len(outfits)} outfit{'s' if len(outfits) > 1 else ''}"
    yield Remark(
        f"{said} in {len(facts.images)} images, wanted {low} to {high}.",
        "Add images in other outfits, or the LoRA learns the clothes as part of the person.",
        severity=ERROR if len(outfits) == 1 else None,
    )


@set_rule("COV-BACKGROUND", Scope.COVERAGE, everywhere(WARNING), f"{GUIDE}: background diversity is critical")
def backgrounds_vary(facts: SetFacts) -> Iterable[Remark]:
    """Five to ten environments: all plain or fewer than three is an error, fewer than five or one above 40% a warning.
    In the brand profiles the same numbers hold for subjects, and a white ground is right.
    """
    brand = facts.profile in BRAND
    name, label = ("subject", "subjects") if brand else ("background", "environments")
    counts = counted(facts, name)
    least, wanted = facts.limits.backgrounds
    if not brand and facts.images and all(is_plain(image) for image in facts.images):
        yield Remark(
            f"All {len(facts.images)} backgrounds are plain, wanted {wanted} environments or more.",
            "Add images in real surroundings, or put varied solid colours behind the subject.",
            severity=ERROR,
        )
        return
    if not counts:
        return
    if len(counts) < wanted:
        yield Remark(
            f"{len(counts)} {label}, wanted {wanted} or more.",
            f"Add images with other {label} (shot_list of validate_coverage).",
            severity=ERROR if len(counts) < least else None,
        )
    value, share = _largest(counts)
    if share > facts.limits.background_share:
        yield Remark(
            f'"{value}" is {share:.0%} of the {label}, wanted {facts.limits.background_share:.0%} at most.',
            f"Add images with other {label} (shot_list of validate_coverage).",
        )


@set_rule("COV-LIGHTING", Scope.COVERAGE, dict.fromkeys(LIT_PROFILES, WARNING), f"{GUIDE}: lighting diversity")
def light_varies(facts: SetFacts) -> Iterable[Remark]:
    """Three or more light set-ups; one is an error for a figure. Icons and logos have no light to vary."""
    counts = counted(facts, "lighting")
    least, wanted = facts.limits.lightings
    if counts and len(counts) < wanted:
        yield Remark(
            f"{len(counts)} light set-up{'s' if len(counts) > 1 else ''}, wanted {wanted} or more.",
            "Add images in another light (shot_list of validate_coverage).",
            severity=ERROR if len(counts) < least and facts.is_figure else None,
        )


@set_rule(
    "COV-CATEGORY",
    Scope.COVERAGE,
    dict.fromkeys(set(Profile) - {Profile.CHARACTER}, WARNING),
    "declared categories of a look",
)
def categories_are_balanced(facts: SetFacts) -> Iterable[Remark]:
    """Each of k declared categories holds at least 0.5/k and at most min(0.6, 2/k) of the set; none is an error."""
    names = list(dict.fromkeys(name.strip().lower() for name in facts.categories))
    if len(names) < 2 or not facts.images:
        return
    counts = Counter(image.known("category") for image in facts.images)
    low = facts.limits.category_low / len(names)
    high = min(facts.limits.category_high[0], facts.limits.category_high[1] / len(names))
    for name in names:
        share = counts[name.replace("_", " ")] / len(facts.images)
        if not low <= share <= high:
            yield Remark(
                f'The category "{name}" holds {share:.0%} of the set, wanted {low:.0%} to {high:.0%}.',
                f"{'Add images of' if share < low else 'Reject some images of'} {name}.",
                severity=ERROR if share == 0 else None,
            )
