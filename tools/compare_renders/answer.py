"""What a comparison answers: the columns, the files, which leads in what and how sure, and the call to make next."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from loradeck.state.records import PickRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders import measured as tables
from loradeck.tools.compare_renders.break_even import break_even
from loradeck.tools.compare_renders.counting import closer, counted, shown
from loradeck.tools.compare_renders.measured import Measured
from loradeck.tools.compare_renders.picks import LEAST_SURE, Tally, leader, picks_of, sign_test, verdicts
from loradeck.tools.compare_renders.plan import Column, Plan, Role
from loradeck.tools.compare_renders.wanted import checkpoint_of
from loradeck.tools.contracts import Compared, CompareResult, RunState
from loradeck.tools.errors import NotFound
from loradeck.tools.library import find_lora
from loradeck.tools.wording import PREVIEW_NOTE

Number = Callable[[Compared], float | None]


def answer(store: Store, run: RunRecord, state: RunState) -> CompareResult | None:
    """The result of a comparison with the picks so far; None before anything was measured."""
    measured = tables.read(store, run.id)
    if measured is None:
        return None
    plan, picks = Plan.from_json(run.spec["plan"]), picks_of(store, run.id)
    columns, folder = counted(plan, measured, picks), store.workspace.run(run.id)
    preview = PREVIEW_NOTE if run.spec.get("preview") else None
    return CompareResult(
        summary=_summary(plan, measured, columns, picks),
        next_step=_next_step(store, run, plan, columns, picks),
        run_id=run.id,
        state=state,
        variants=[shown(one) for one in columns],
        grid=str(folder / measured.grids[0]) if measured.grids else None,
        files=tables.files_of(store, run.id),
        measured_by=measured.measured_by,
        break_even=break_even(store, plan, columns),
        told=[*run.spec["told"], *measured.told],
        preview_note=preview,
    )


# --------------------------------------------------------------------------- the summary


def _summary(plan: Plan, measured: Measured, columns: Sequence[Compared], picks: Sequence[PickRecord]) -> str:
    asked = sum(column.images for column in columns)
    extra = len(measured.pictures) - asked
    rows = len(plan.rows)
    first = f"{len(columns)} variants were compared on {rows} prompt{'s' * (rows != 1)}: {asked} pictures"
    first += f", and {extra} for the leak" if extra else ""
    first += f"; {measured.missing} {'is' if measured.missing == 1 else 'are'} not there" if measured.missing else ""
    return " ".join([f"{first}.", _leads(measured, columns), *verdicts(plan, picks)])


def _leads(measured: Measured, columns: Sequence[Compared]) -> str:
    """Who leads in what, and how sure that is."""
    led = [
        words
        for words in (
            *_nearest(measured, columns),
            _best("most consistent is", columns, lambda one: one.consistency),
            _best("most diverse between seeds is", columns, lambda one: one.diversity),
            _best("least leak has", columns, lambda one: one.leak, lowest=True),
        )
        if words
    ]
    copied = [
        f"{one.variant} copies {one.copies} training picture{'s' * (one.copies != 1)}" for one in columns if one.copies
    ]
    text = "; ".join([*led, *copied]) or "nothing could be measured that tells them apart"
    return f"{text[0].upper()}{text[1:]}."


def _nearest(measured: Measured, columns: Sequence[Compared]) -> list[str]:
    """Who is closest to each look, among the columns that were measured against that one."""
    looks = dict.fromkeys(one.look for one in columns if one.closeness is not None)
    told = []
    for look in looks:
        near = [(one.closeness, one.variant) for one in columns if one.closeness is not None and one.look == look]
        if len(near) > 1:
            ranked = sorted(near, key=lambda pair: -pair[0])
            told.append(_closest(measured, f"look of {look}" if len(looks) > 1 else "training look", ranked[:2]))
    return told


def _closest(measured: Measured, look: str, ranked: Sequence[tuple[float, str]]) -> str:
    """The first of two columns, and on how many prompts it is before the other: a sign test."""
    (best, first), (next_best, second) = ranked
    if best == next_best:
        return f"equally close to the {look} are {first} and {second} ({best:.2f})"
    words = f"closest to the {look} is {first} ({best:.2f}; {second} {next_best:.2f})"
    won, of = closer(_near(measured, first), _near(measured, second))
    if not of:
        return words
    p = sign_test(won, of - won)
    chance = "is hardly" if won > of - won and p < LEAST_SURE else "may be"
    return f"{words}, nearer on {Tally(won, of)} of the prompts, which {chance} chance (sign test, p = {p:.2g})"


def _near(measured: Measured, variant: str) -> Mapping[tuple[int, int], float]:
    return {
        (row.row, row.seed): row.closeness
        for row in measured.pictures
        if row.variant == variant and row.role == Role.ASKED and row.closeness is not None
    }


def _best(words: str, columns: Sequence[Compared], number: Number, *, lowest: bool = False) -> str:
    """Who has the highest (or lowest) of a number, where two have one and differ."""
    known = [(value, one.variant) for one in columns if (value := number(one)) is not None]
    ranked = sorted(known, key=lambda pair: pair[0] if lowest else -pair[0])
    if len(ranked) < 2 or ranked[0][0] == ranked[-1][0]:
        return ""
    return f"{words} {ranked[0][1]} ({ranked[0][0]:.2f}; {ranked[1][1]} {ranked[1][0]:.2f})"


# --------------------------------------------------------------------------- the next step


def _next_step(
    store: Store, run: RunRecord, plan: Plan, columns: Sequence[Compared], picks: Sequence[PickRecord]
) -> str:
    best = leader(plan, picks)
    if best is None:
        pick = json.dumps({"prompt": 1, "variant": columns[0].variant, "by": "assistant"}, ensure_ascii=False)
        again = "more rows: " if picks else ""
        return (
            f'view_images(of="{run.id}", what="compare") shows the grid; then {again}compare_renders('
            f'run_id="{run.id}", picks=[{pick}]) with the best of each row.'
        )
    return _with(store, run, next(column for column in plan.columns if column.label == best))


def _with(store: Store, run: RunRecord, column: Column) -> str:
    """The call that renders with a column; a checkpoint is taken into the library first."""
    deck_id = run.spec.get("deck_id")
    deck = f'deck_id="{deck_id}"' if deck_id else "deck=..."
    uses = [{"lora_id": look.lora_id, "strength": look.strength} for look in column.brush.looks]
    try:
        found = [find_lora(store, look.lora_id) for look in column.brush.looks]
        point = checkpoint_of(store, found[0], column.checkpoint) if column.checkpoint is not None else None
    except NotFound as gone:
        return f"What {column.label} draws with is not there any more. {gone}"
    if point is None:
        loras = json.dumps(uses)
        return f'render_deck_visuals({deck}, loras={loras}, engine="{column.brush.engine}"{_rest(column)}).'
    lora, path, name = found[0], point.path, f"{found[0].name}-step-{point.step}"
    uses[0]["lora_id"] = name
    trigger = f', trigger="{lora.trigger}"' if lora.trigger else ""
    return (
        f'manage_loras(action="import", path="{path}", name="{name}", base_model="{lora.base_model}"{trigger}) takes '
        f"the checkpoint into the library; then render_deck_visuals({deck}, loras={json.dumps(uses)}{_rest(column)})."
    )


def _rest(column: Column) -> str:
    brush = column.brush
    base = f', base_model="{brush.base_model}"' if not brush.looks else ""
    return f"{base}, references=[...]" if brush.references else base
