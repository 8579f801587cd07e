"""view_images: sheets, single pictures, samples, loss charts and decks, as JPEG thumbnails beside a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loradeck.state.records import DatasetRecord, DeckRecord, ImageRecord, LoraRecord, RunRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RunKind, ViewArgs
from loradeck.tools.datasets import find_dataset
from loradeck.tools.errors import BadArgument
from loradeck.tools.library import find_lora
from loradeck.tools.names import Finder, Thing, find_thing, namesakes
from loradeck.tools.render_deck_visuals.gallery import find_deck
from loradeck.tools.run_lookup import find_run
from loradeck.tools.spec import Pictures, ToolSpec
from loradeck.tools.workbench import Workbench


def _training(store: Store, ref: str) -> RunRecord:
    return find_run(store, ref, RunKind.TRAIN)


def _comparison(store: Store, ref: str) -> RunRecord:
    return find_run(store, ref, RunKind.COMPARE)


FIRST: dict[str, Sequence[Finder]] = {
    "image": (find_dataset, find_deck),
    "samples": (_training, find_lora),
    "loss": (_training, find_lora),
    "deck": (find_deck,),
    "compare": (_comparison,),
}
"""Kinds that have a view: a name that several things bear means one of these."""
MOST_NAMESAKES = 5
MEANT = {DatasetRecord: "sheet", RunRecord: "samples", DeckRecord: "deck"}
"""What "sheet", the default, means for each kind of thing."""


def handle(args: ViewArgs, bench: Workbench) -> Pictures:
    """Find the thing, and show it. Raises NotFound or BadArgument."""
    args = _single(bench.store, args)
    thing = find_thing(bench.store, args.of, FIRST.get(args.what, ()))
    shown = _shown(args, bench, thing)
    others = namesakes(bench.store, thing, args.of)[:MOST_NAMESAKES]
    if not others:
        return shown
    return replace(shown, text=f"{shown.text} This is {thing.id}; called {args.of!r} too: {', '.join(others)}.")


def _shown(args: ViewArgs, bench: Workbench, thing: Thing) -> Pictures:
    """The view of a thing. Raises NotFound or BadArgument."""
    if isinstance(thing, LoraRecord):
        thing = _training_of(bench.store, thing)
    what = MEANT[type(thing)] if args.what == "sheet" else args.what
    if isinstance(thing, RunRecord) and thing.kind == RunKind.COMPARE and what in {"samples", "compare"}:
        from loradeck.tools.view_images.compare import show_compare

        return show_compare(bench.store, thing, args.page)
    if what == "compare":
        raise BadArgument("compare is the view of a comparison: give the run_id that compare_renders answered.")
    if isinstance(thing, DatasetRecord):
        from loradeck.tools.view_images.dataset import show_dataset

        return show_dataset(bench.store, thing, what, args.image_ids, args.page)
    if isinstance(thing, RunRecord) and thing.deck_id is None:
        from loradeck.tools.view_images.run import show_run

        return show_run(bench.store, thing, what)
    from loradeck.tools.view_images.deck import show_deck

    deck = thing if isinstance(thing, DeckRecord) else find_deck(bench.store, str(thing.deck_id))
    return show_deck(bench.store, deck, "deck" if isinstance(thing, RunRecord) else what, args.image_ids, args.page)


def _single(store: Store, args: ViewArgs) -> ViewArgs:
    """The id of one image or visual means that picture of its dataset or deck."""
    image, visual = store.find(ImageRecord, args.of), store.find(VisualRecord, args.of)
    if image is None and visual is None:
        return args
    of = image.dataset_id if image is not None else str(visual and visual.deck_id)
    return args.model_copy(update={"of": of, "what": "image", "image_ids": [args.of]})


def _training_of(store: Store, lora: LoraRecord) -> RunRecord:
    run = store.find(RunRecord, lora.run_id) if lora.run_id else None
    if run is None:
        raise BadArgument(
            f"{lora.name} v{lora.version} was not trained here, so there are no samples; render a deck with it."
        )
    return run


TOOL = ToolSpec(
    name="view_images",
    title="Look at pictures",
    description=(
        "Show pictures of a dataset, run, LoRA or deck as thumbnails; it answers with pictures and one line, no "
        "structure. what=sheet: numbered contact sheet of a dataset, 50 images a page, with the code that "
        "write_captions takes as sheet_code. what=image with image_ids: single images, large. what=samples or loss: "
        "how a training goes. what=compare: a comparison's grid. "
        "what=deck: a deck's contact sheet, or single slides with image_ids=[slide]. "
        "what=coverage: what the kept images show now, as a heat map of angle and expression and bars beside the "
        "wanted shares. Full files are at the paths that the other tools answer."
    ),
    args=ViewArgs,
    result=None,
    handler=handle,
    read_only=True,
    idempotent=True,
)
