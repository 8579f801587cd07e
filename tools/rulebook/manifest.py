"""Every rule that is in force, in the order of the docs.

An id may have one rule for single captions and one for the set.
"""

from __future__ import annotations

from loradeck.tools.rulebook import (
    agrees,
    caption_sets,
    captions,
    constant,
    coverage,
    covers,
    faces,
    hero,
    identity,
    images,
    keystones,
    language,
    narrative,
    origin,
    physical,
    prose,
    quality,
    terms,
)
from loradeck.tools.rulebook.elsewhere import ELSEWHERE
from loradeck.tools.rulebook.rule import Rule, Scope, Statement

RULES: tuple[Rule, ...] = (
    captions.trigger_first,
    prose.prose,
    captions.length,
    captions.detail,
    constant.no_boilerplate,
    identity.no_identity,
    hero.no_copy,
    narrative.nothing_told,
    covers.covers,
    agrees.agrees,
    language.told_when_not_english,
    physical.shown_not_labelled,
    captions.not_empty,
    origin.not_worded_by_a_machine,
    caption_sets.every_image_has_the_trigger,
    caption_sets.nothing_said_everywhere,
    caption_sets.shapes_vary,
    caption_sets.captions_differ,
    terms.one_name_for_one_thing,
    caption_sets.written_by_someone_who_looked,
    images.copies_are_readable,
    images.large_enough,
    images.one_size,
    images.no_equal_copies,
    quality.sharp_enough,
    quality.no_blocks,
    quality.tones_are_kept,
    images.no_text_laid_over,
    images.faces_show_where_they_must,
    images.none_looks_unlike_the_rest,
    images.not_drawn_by_a_lora,
    images.rights_are_known,
    coverage.enough_images,
    coverage.attributes_are_known,
    coverage.framings_are_balanced,
    coverage.angles_differ,
    coverage.not_all_frontal,
    coverage.expressions_differ,
    coverage.neutral_is_commonest,
    coverage.no_expression_repeats,
    faces.near_synonyms_are_told,
    faces.extremes_are_told,
    faces.expressions_are_readable_and_uncoupled,
    coverage.outfits_vary,
    coverage.backgrounds_vary,
    coverage.light_varies,
    coverage.categories_are_balanced,
    keystones.no_combination_twice,
    keystones.candidates_come_from_more_than_one_engine,
    keystones.keystones_are_there,
)
"""Those that `judge` runs on a set."""
EVERY: tuple[Statement, ...] = (*RULES, *ELSEWHERE)
IDS: frozenset[str] = frozenset(rule.id for rule in EVERY if rule.severities)
"""What a finding may name, and so a waiver."""
CAPTION_RULES: tuple[Rule, ...] = tuple(rule for rule in RULES if rule.scope == Scope.CAPTION)
