"""What a call names, found: its rows, the LoRAs and checkpoints of its columns, engines that are ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from loradeck.engines.base import Engine
from loradeck.state.records import CheckpointRecord, LoraRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders.plan import Column, Plan, Row
from loradeck.tools.contracts import CompareArgs, TargetModel, Variant
from loradeck.tools.errors import BadArgument, NotFound, Refused
from loradeck.tools.library import find_lora
from loradeck.tools.ready import drawing_engine
from loradeck.tools.render_deck_visuals.frames import frames
from loradeck.tools.render_deck_visuals.named import named_deck
from loradeck.tools.render_deck_visuals.plan import Brush, Leaned, Look, worded
from loradeck.tools.render_deck_visuals.references import read_references
from loradeck.tools.render_deck_visuals.resolve import look_of, strokes_of, style_of
from loradeck.tools.workbench import Workbench

MOST_PROMPT = 2000
"""Characters of a prompt, as in a deck."""
MOST_ROWS = 24
LONGEST_LABEL = 40
SIDE, PREVIEW_SIDE = 1024, 512
"""Pixels of a picture that nobody gave a size; the preview base draws smaller still and is only scaled."""


@dataclass
class Wanted:
    """A plan, the references with their bytes, and what is to be told."""

    plan: Plan
    name: str
    deck_id: str | None = None
    references: dict[Leaned, bytes] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


def wanted(args: CompareArgs, bench: Workbench) -> Wanted:
    """What a call wants compared. Raises ToolFault children, NotInstalled where no engine is ready."""
    if (args.prompts is None) == (args.deck is None):
        both = "not both" if args.prompts else "a list of them, or a deck's own"
        raise BadArgument(f"Give either prompts=[...] or deck=<deck_id> as the rows, {both}.")
    if args.variants is None:
        raise BadArgument('Give two to six variants, such as [{"loras": [{"lora_id": ...}]}, {"loras": []}].')
    made = Wanted(Plan((), ()), name="Comparison")
    if args.deck is None:
        strokes = Brush("", "", guidance=args.guidance, steps=args.steps)
        given = [_row(prompt, args) for prompt in args.prompts or []]
    else:
        strokes, given = _of_deck(args, args.deck, bench.store, made)
    rows = _each_once(given, made)
    columns = _columns(args.variants, strokes, bench, made)
    side = PREVIEW_SIDE if all(column.brush.base_model == TargetModel.PREVIEW for column in columns) else SIDE
    made.plan = Plan(tuple(replace(row, width=row.width or side, height=row.height or side) for row in rows), columns)
    made.told += _triggers(made.plan)
    return made


# --------------------------------------------------------------------------- rows


def _row(prompt: str, args: CompareArgs) -> Row:
    words = prompt.strip()
    if not 0 < len(words) <= MOST_PROMPT:
        raise BadArgument(f"A prompt has 1 to {MOST_PROMPT} characters, one of these has {len(words)}; reword it.")
    return Row(words, tuple(dict.fromkeys(args.seeds)), args.width or 0, args.height or 0)


def _each_once(rows: list[Row], made: Wanted) -> list[Row]:
    """The rows that differ in what they draw; those that come again would be paid for again, and blur the numbers."""
    once: dict[Row, Row] = {}
    for row in rows:
        once.setdefault(replace(row, name=""), row)
    again = len(rows) - len(once)
    if again:
        made.told.append(f"{again} of {len(rows)} prompts came again; each is one row, and is drawn once.")
    return list(once.values())


def _of_deck(args: CompareArgs, ref: str, store: Store, made: Wanted) -> tuple[Brush, list[Row]]:
    """A deck's own prompts, with its style words, guidance, steps, sizes and, where none are given, its seeds."""
    deck, record = named_deck(store, ref)
    there = frames(deck)
    said = strokes_of(deck) if record is None else style_of(record).model_dump()
    seeds = tuple(dict.fromkeys(args.seeds)) if "seeds" in args.model_fields_set else None
    rows = [
        Row(one.prompt, seeds or (one.seed,), args.width or one.width, args.height or one.height, one.key)
        for one in there[:MOST_ROWS]
    ]
    if len(there) > MOST_ROWS:
        made.told.append(f"The first {MOST_ROWS} of {len(there)} pictures of {deck.title!r} are the rows.")
    made.name, made.deck_id = deck.title, record.id if record is not None else None
    strokes = Brush(
        "",
        "",
        guidance=args.guidance if args.guidance is not None else said["guidance"],
        steps=args.steps if args.steps is not None else said["steps"],
        prefix=said["prompt_prefix"] or "",
        suffix=said["prompt_suffix"] or "",
    )
    return strokes, rows


# --------------------------------------------------------------------------- columns


def _columns(variants: Sequence[Variant], strokes: Brush, bench: Workbench, made: Wanted) -> tuple[Column, ...]:
    loras = [[find_lora(bench.store, use.lora_id) for use in variant.loras] for variant in variants]
    usual = next((one[0].base_model for one in loras if one), str(TargetModel.PREVIEW))
    columns = [
        _column(variant, own, str(variant.base_model or (own[0].base_model if own else usual)), strokes, bench, made)
        for variant, own in zip(variants, loras, strict=True)
    ]
    return _labelled(variants, columns)


def _column(
    variant: Variant, loras: list[LoraRecord], base: str, strokes: Brush, bench: Workbench, made: Wanted
) -> Column:
    for lora in loras:
        if lora.base_model != base:
            raise Refused(
                f"The LoRA {lora.name} v{lora.version} ({lora.id}) was trained on {lora.base_model} and does nothing "
                f"on {base}; leave base_model out, or choose another LoRA from list_loras."
            )
    looks = [look_of(lora, use.strength) for lora, use in zip(loras, variant.loras, strict=True)]
    if variant.checkpoint is not None:
        looks[:1] = [_at_checkpoint(bench.store, loras, looks, variant.checkpoint)]
    engine = drawing_engine(bench, variant.engine, base)
    references, words = read_references(variant.references, base)
    made.references |= references or {}
    made.told += [word for word in words if word.startswith("REF-") and word not in made.told]
    brush = replace(
        strokes, engine=engine.name, base_model=base, looks=tuple(looks), references=tuple(references or {})
    )
    label = (variant.label or "").strip() or _label(variant, loras)
    return Column(label, brush, variant.checkpoint, _pull(engine, brush))


def _pull(engine: Engine, brush: Brush) -> float | None:
    """The guidance in force: what was asked for; else of a column with LoRAs what its engine takes with them.

    What a host takes does not depend on LoRAs, so that None means the same with and without.
    """
    if brush.guidance is not None or not brush.looks or engine.capabilities.costs_money:
        return brush.guidance
    return engine.defaults(brush.base_model, 1, "style").guidance


def _at_checkpoint(store: Store, loras: list[LoraRecord], looks: list[Look], step: int) -> Look:
    if not loras:
        raise BadArgument(f"checkpoint={step} is a step of the run that made a LoRA: name that LoRA in loras.")
    point = checkpoint_of(store, loras[0], step)
    return replace(looks[0], sha256=point.sha256)


def checkpoint_of(store: Store, lora: LoraRecord, step: int) -> CheckpointRecord:
    """A checkpoint of the run that made a LoRA: a LoRA file too. Raises NotFound naming those on the disk."""
    points = store.where(CheckpointRecord, "run_id = ?", [lora.run_id], order="step") if lora.run_id else []
    there = [one for one in points if Path(one.path).is_file() and one.path.endswith(".safetensors")]
    found = next((one for one in there if one.step == step), None)
    if found is None:
        steps = ", ".join(str(one.step) for one in there)
        raise NotFound(
            f"{lora.name} v{lora.version} ({lora.id}) has no checkpoint at step {step}; "
            + (f"those on the disk are {steps}." if there else "none of its run is on this disk: compare its versions.")
        )
    return found


def _labelled(variants: Sequence[Variant], columns: list[Column]) -> tuple[Column, ...]:
    """Columns under labels of their own. Raises BadArgument where two are labelled, or draw, the same."""
    given = [(variant.label or "").strip() for variant in variants]
    twice = next((label for label in given if label and given.count(label) > 1), None)
    if twice is not None:
        raise BadArgument(f"Two variants are labelled {twice!r}; give each a label of its own, or none.")
    for place, column in enumerate(columns):
        same = next((one for one in columns[:place] if one.brush == column.brush), None)
        if same is not None:
            raise BadArgument(f"The variants {same.label!r} and {column.label!r} draw the same pictures; change one.")
    told = [
        column if label else replace(column, label=f"{column.label}{_setting(column, columns)}"[:LONGEST_LABEL])
        for column, label in zip(columns, given, strict=True)
    ]
    return _numbered(told, given)


def _numbered(columns: Sequence[Column], given: Sequence[str]) -> tuple[Column, ...]:
    """Columns whose label, where none was given, has a number in front if another column is called the same."""
    labels = [column.label for column in columns]
    taken, told = set(labels), []
    for place, column in enumerate(columns, 1):
        if not given[place - 1] and labels.count(column.label) > 1:
            numbered = (f"{number}: {column.label}"[:LONGEST_LABEL] for number in count(place))
            column = replace(column, label=next(label for label in numbered if label not in taken))
            taken.add(column.label)
        told.append(column)
    return tuple(told)


def _label(variant: Variant, loras: Sequence[LoraRecord]) -> str:
    """Words for a column that nobody labelled: what it draws with; of long names the beginning."""
    parts: list[str] = []
    for lora, use in zip(loras, variant.loras, strict=True):
        at = f" step {variant.checkpoint}" if variant.checkpoint is not None and not parts else ""
        at += f" at {use.strength:g}" if use.strength != 1 else ""
        name, room = f"{lora.name}-v{lora.version}", LONGEST_LABEL // len(loras) - len(" + ") - len(at)
        parts.append((name if len(name) <= room else f"{name[: max(4, room - 1)]}…") + at)
    if variant.references:
        parts.append(f"{len(variant.references)} reference{'s' * (len(variant.references) != 1)}")
    return " + ".join(parts) or "base alone"


def _setting(column: Column, columns: Sequence[Column]) -> str:
    """The base and the engine, where the columns differ in them."""
    bases, engines = {one.brush.base_model for one in columns}, {one.brush.engine for one in columns}
    told = (f", {column.brush.base_model}" * (len(bases) > 1), f", {column.brush.engine}" * (len(engines) > 1))
    return "".join(told)


def _triggers(plan: Plan) -> list[str]:
    """RND-TRIGGER: which triggers were put in front, and of how many prompts."""
    told = []
    for column in plan.columns:
        counts: dict[str, int] = {}
        for row in plan.rows:
            for trigger in worded(row.prompt, column.brush)[1]:
                counts[trigger] = counts.get(trigger, 0) + 1
        told += [
            f"RND-TRIGGER: {trigger!r} was put in front of {count} prompt{'s' * (count != 1)} of {column.label!r}."
            for trigger, count in counts.items()
        ]
    return told
