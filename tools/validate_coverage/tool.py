"""validate_coverage: judge a dataset by the rulebook, and say what to add next."""

from __future__ import annotations

from functools import partial

from loradeck.state.files import new_id
from loradeck.state.records import DatasetRecord, ImageRecord, ReportRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, TargetModel, ValidateArgs, ValidateResult
from loradeck.tools.datasets import captions_of, copy_path, find_dataset, kept_images
from loradeck.tools.disk_changes import hashes_now, take_in_captions, told_edits
from loradeck.tools.facts import set_facts
from loradeck.tools.house_file import house_of
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.tables import FIGURES
from loradeck.tools.spec import ToolSpec
from loradeck.tools.strangeness import strangeness
from loradeck.tools.validate_coverage.copies import png_size
from loradeck.tools.workbench import Workbench


def facts_now(store: Store, dataset: DatasetRecord, target_model: TargetModel | None = None) -> SetFacts:
    """The dataset at this moment as the rules see it, its copies measured on the disk.

    Raises BadArgument where its loradeck.toml cannot be followed.
    """
    images, captions = kept_images(store, dataset.id), captions_of(store, dataset.id)
    return set_facts(
        dataset,
        images,
        captions,
        target_model,
        partial(_copy_size, store),
        house_of(store, dataset.id),
        hashes_now(store, dataset.id, images),
        strangeness(store, images) if dataset.profile not in FIGURES else None,  # which IMG-OUTLIER does not judge
    )


def judge_now(
    store: Store,
    dataset: DatasetRecord,
    target_model: TargetModel | None = None,
    waived: frozenset[str] = frozenset(),
    deck: DeckSpec | None = None,
) -> ValidateResult:
    """Judge the dataset as it is now, for its own target model or another, and store the report.

    Captions that were edited in its folder are taken in first. What a deck wants is told and changes no verdict.
    """
    from loradeck.tools.rulebook.judge import judge
    from loradeck.tools.validate_coverage import deck as decks
    from loradeck.tools.validate_coverage.report import report

    edited = take_in_captions(store, dataset.id)
    facts = facts_now(store, dataset, target_model)
    cells = decks.wanted_by(deck, facts) if deck is not None else []
    found = [*judge(facts, waived), *decks.findings(cells)]
    result = report(dataset.id, dataset.name, new_id("rep"), facts, found, [cell.attributes for cell in cells])
    of_deck = [decks.summed_up(deck, cells, facts)] if deck is not None else []
    result = result.model_copy(update={"summary": " ".join([result.summary, *of_deck, *told_edits(edited)])})
    store.add(
        ReportRecord(
            id=result.report_id,
            dataset_id=dataset.id,
            fingerprint=result.fingerprint,
            target_model=facts.target_model,
            verdict=result.verdict,
            report=result.model_dump(mode="json"),
        )
    )
    return result


def _copy_size(store: Store, image: ImageRecord) -> tuple[int, int] | None:
    return png_size(copy_path(store, image))


def handle(args: ValidateArgs, bench: Workbench) -> ValidateResult:
    """Judge a dataset. Raises NotFound, and BadArgument for a loradeck.toml or a deck that cannot be followed."""
    dataset = find_dataset(bench.store, args.dataset_id)
    deck = None
    if args.deck is not None:
        from loradeck.tools.render_deck_visuals.named import named_deck

        deck, _ = named_deck(bench.store, args.deck)
    return judge_now(bench.store, dataset, args.target_model, deck=deck)


TOOL = ToolSpec(
    name="validate_coverage",
    title="Judge a dataset",
    description=(
        "Judge a dataset by the rulebook before training: images, captions one by one and as a set, and coverage "
        "(framing, angle, expression, background, light, balance). Answers pass, warn or fail with findings (each with "
        "the measured value and the fix), what the set shows in numbers, and a shot list of what to add next; with a "
        "deck, also what its slides need. Changes nothing but the stored report; start_training judges again by itself."
    ),
    args=ValidateArgs,
    result=ValidateResult,
    handler=handle,
    idempotent=True,
)
