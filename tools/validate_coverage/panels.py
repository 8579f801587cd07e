"""How much of everything the kept images show, beside what the rules want of it: bars to be drawn, as plain data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from loradeck.tools.contracts import Severity
from loradeck.tools.rulebook import coverage
from loradeck.tools.rulebook.coverage import LIT_PROFILES, NEUTRAL, expressions, same_thing
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.judge import gravest_first
from loradeck.tools.rulebook.rule import Rule
from loradeck.tools.rulebook.tables import BRAND, NEUTRAL_WANTED, OUTFITS_WANTED


@dataclass(frozen=True)
class Bar:
    """One value: how many images, their share of those counted (0 to 1), and the share wanted, where a rule says."""

    label: str
    count: int
    share: float
    wanted: tuple[float, float] | None = None


@dataclass(frozen=True)
class Bars:
    """The values of one attribute. `told` is the gravest that the rule has to say, None where it is content."""

    title: str
    wanted: str
    bars: tuple[Bar, ...]
    told: Severity | None = None
    most: float | None = None
    """The share that no value should exceed."""
    unknown: int = 0
    """Images of which nothing is known here."""


def panels(facts: SetFacts) -> list[Bars]:
    """What to draw for the set as it is, by the numbers in force for it."""
    if facts.is_figure:
        return [_framing(facts), *([_neutral(facts)] if facts.emotes else []), *_worn(facts), *_around(facts)]
    return [*_categories(facts), *_around(facts)]


def _gravest(facts: SetFacts, rule: Rule) -> Severity | None:
    found = gravest_first(rule.judge(facts))
    return found[0].severity if found else None


def between(low: float, high: float) -> str:
    """A range of shares in words: "33% to 40%", "10%"."""
    return f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%}"


def _framing(facts: SetFacts) -> Bars:
    counts = Counter(name for image in facts.images if (name := image.framing_class))
    total = counts.total() or 1
    bars = tuple(
        Bar(name.replace("_", " "), counts[name], counts[name] / total, (low, high))
        for name, low, high in facts.limits.framing_bands
    )
    told = _gravest(facts, coverage.framings_are_balanced)
    return Bars(
        "Framing", "share of the set, the wanted band in green", bars, told, unknown=len(facts.images) - counts.total()
    )


def _neutral(facts: SetFacts) -> Bars:
    families = expressions(facts)
    share = families[NEUTRAL] / (families.total() or 1)
    bar = Bar(NEUTRAL, families[NEUTRAL], share, NEUTRAL_WANTED)
    fewest, most = facts.limits.expressions[1:]
    wanted = f"{len(families)} kinds, wanted {fewest} to {most}, neutral the commonest"
    rules = (coverage.expressions_differ, coverage.neutral_is_commonest)
    told = [severity for rule in rules if (severity := _gravest(facts, rule))]
    asked = sum(image.face_shows for image in facts.images)
    return Bars("Expression", wanted, (bar,), min(told, key=list(Severity).index, default=None), None,
                asked - families.total())  # fmt: skip


def _worn(facts: SetFacts) -> list[Bars]:
    if not facts.wears:
        return []
    low, high = OUTFITS_WANTED
    return [_values(facts, "wardrobe", "Wardrobe", f"wanted {low} to {high}", coverage.outfits_vary)]


def _around(facts: SetFacts) -> list[Bars]:
    """Surroundings (brand profiles: subjects) and, where light may vary, light."""
    name = "subject" if facts.profile in BRAND else "background"
    wanted = f"wanted {facts.limits.backgrounds[1]} or more"
    most = facts.limits.background_share
    around = [_values(facts, name, name.capitalize(), wanted, coverage.backgrounds_vary, most)]
    if facts.profile in LIT_PROFILES:
        wanted = f"wanted {facts.limits.lightings[1]} or more"
        around.append(_values(facts, "lighting", "Lighting", wanted, coverage.light_varies))
    return around


def _values(facts: SetFacts, name: str, title: str, wanted: str, rule: Rule, most: float | None = None) -> Bars:
    """The values of an attribute as the rules count them, each under its commonest wording, the commonest first."""
    wordings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for value in (known for image in facts.images if (known := image.known(name))):
        wordings[same_thing(value)][value] += 1
    total = sum(counts.total() for counts in wordings.values())
    bars = sorted(
        (Bar(_usual(counts), counts.total(), counts.total() / total) for counts in wordings.values()),
        key=lambda bar: (-bar.count, bar.label),
    )
    said = f"{len(bars)} {'kind' if len(bars) == 1 else 'kinds'}, {wanted}"
    if most is not None:
        said += f", none above {most:.0%}"
    return Bars(title, said, tuple(bars), _gravest(facts, rule), most, len(facts.images) - total)


def _usual(wordings: Counter[str]) -> str:
    return min(wordings, key=lambda value: (-wordings[value], value))


def _categories(facts: SetFacts) -> list[Bars]:
    """The declared categories against their bounds; of one there is nothing to balance."""
    names = list(dict.fromkeys(name.strip().lower() for name in facts.categories))
    if len(names) < 2:
        return []
    counts = Counter(image.known("category") for image in facts.images)
    low = facts.limits.category_low / len(names)
    high = min(facts.limits.category_high[0], facts.limits.category_high[1] / len(names))
    total = len(facts.images) or 1
    bars = tuple(Bar(name, count, count / total, (low, high)) for name, count in _held(names, counts))
    told = _gravest(facts, coverage.categories_are_balanced)
    return [Bars("Category", f"each {between(low, high)} of the set", bars, told, unknown=counts[None])]


def _held(names: Iterable[str], counts: Counter[str | None]) -> list[tuple[str, int]]:
    return [(name, counts[name.replace("_", " ")]) for name in names]
