"""What a render answers: the pictures with what a machine sees at once, the files, two sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loradeck.state.records import VisualRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import Artefact, DeckSpec, Finding, RenderResult, RunState, VisualRow
from loradeck.tools.render_deck_visuals import gallery, looks, measure
from loradeck.tools.render_deck_visuals.against import Against
from loradeck.tools.render_deck_visuals.frames import frames
from loradeck.tools.wording import PREVIEW_NOTE

MOST_ROWS = 60
MOST_NAMED = 6
"""So many slides without a picture are named in the summary."""
MOST_CALLS = 24
LIKEWISE = "As above, with this slide."
MOST_PROMPT = 9_000
"""Characters of all prompts together: the answer on the largest deck stays small enough for every client."""


def looked_at(store: Store, deck: DeckSpec, deck_id: str, wanted: set[str], fresh: set[str]) -> list[VisualRow]:
    """The shown take of every frame and each take with a recipe of this call, judged, in the deck's order."""
    places = {frame.key: (place, frame) for place, frame in enumerate(frames(deck))}
    takes = [row for row in gallery.there(store, deck_id) if row.slide in places]
    takes = [row for row in takes if row.picked or row.recipe in wanted]
    takes.sort(key=lambda row: (places[row.slide][0], row.take))
    findings = _judged(store, takes, _on_white(deck))
    rows = []
    for row in takes:
        found = findings[row.id]
        store.change(VisualRecord, row.id, findings=[one.model_dump(mode="json") for one in found])
        named = gallery.public(store, deck_id, places[row.slide][1])
        rows.append(_row(row, str(named) if row.picked else row.path, row.recipe in fresh, found))
    return rows


def answer(
    deck: DeckSpec,
    deck_id: str,
    rows: list[VisualRow],
    files: list[Artefact],
    told: list[str],
    *,
    bare: bool,
    preview: bool,
) -> RenderResult:
    """The result of a whole render; `bare` when no LoRA was used.

    Of very many takes the shown ones are listed first and the rest is counted.
    """
    fresh = sum(row.fresh for row in rows)
    doubtful = [row for row in rows if row.findings]
    summary = f"{deck.title}: {fresh} picture{'s' * (fresh != 1)} drawn, {len(rows) - fresh} kept as they were."
    missing = [frame.key for frame in frames(deck) if frame.key not in {row.slide for row in rows}]
    if missing:
        are = "slide has" if len(missing) == 1 else "slides have"
        summary += f" {len(missing)} {are} no picture ({', '.join(missing[:MOST_NAMED])}); told says why."
    summary += " No LoRA was used: the base drew alone." if bare else ""
    pdf = next((file.path for file in files if file.kind == "pdf"), None)
    summary += f" The deck is {pdf}." if pdf else ""
    if doubtful:
        want = "picture wants" if len(doubtful) == 1 else "pictures want"
        summary += f" {len(doubtful)} {want} a second look, first {doubtful[0].slide}: {doubtful[0].findings[0].why}"
    listed = rows if len(rows) <= MOST_ROWS else sorted(rows, key=lambda row: not row.picked)[:MOST_ROWS]
    if len(listed) < len(rows):
        told = [*told, f"{len(rows) - len(listed)} more takes are not listed; view_images shows those of a slide."]
    longest = MOST_PROMPT // max(1, len(listed))
    return RenderResult(
        summary=f"{summary} {PREVIEW_NOTE}" if preview else summary,
        next_step=f'Look at it with view_images(of="{deck_id}", what="deck"). '
        f"{_change(deck, deck_id, doubtful, missing)}",
        state=RunState.SUCCEEDED,
        deck_id=deck_id,
        visuals=[_short(row, longest, place) for place, row in enumerate(listed)],
        files=files,
        told=told,
        preview_note=PREVIEW_NOTE if preview else None,
    )


def _change(deck: DeckSpec, deck_id: str, doubtful: Sequence[VisualRow], missing: Sequence[str]) -> str:
    """The call that asks for what is missing; else the one that changes a picture: one that wants it, or any."""
    if missing:
        edit = f'{{"slide": "{missing[0]}", "prompt": ...}}'
        return (
            f'render_deck_visuals(deck_id="{deck_id}") asks for the missing alone; in other words with edits=[{edit}].'
        )
    if doubtful:
        return f'{doubtful[0].findings[0].fix} With deck_id="{deck_id}".'
    name = frames(deck)[0].key
    return (
        f'To change one picture: render_deck_visuals(deck_id="{deck_id}", only=["{name}"], '
        f'edits=[{{"slide": "{name}", "add": "bright daylight"}}]).'
    )


def _short(row: VisualRow, longest: int, place: int) -> VisualRow:
    """A row whose prompt is no longer than that; of very many rows the later ones say what is wrong and no call."""
    findings = row.findings
    if place >= MOST_CALLS:
        findings = [one.model_copy(update={"fix": LIKEWISE}) for one in findings]
    return row.model_copy(update={"prompt": _cut(row.prompt, longest), "findings": findings})


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _row(row: VisualRecord, path: str, fresh: bool, findings: list[Finding]) -> VisualRow:
    return VisualRow(
        slide=row.slide,
        take=row.take,
        path=path,
        prompt=row.prompt,
        seed=row.seed,
        width=row.width,
        height=row.height,
        picked=row.picked,
        fresh=fresh,
        findings=findings,
    )


def flags(rows: Sequence[VisualRow]) -> dict[str, str]:
    """What is wrong with the shown pictures in a few words, by the frame's key: for the tiles of a contact sheet."""
    return {row.slide: looks.short(row.findings) for row in rows if row.picked and row.findings}


def foot(deck_id: str, rows: Sequence[VisualRow]) -> str:
    """The line for the bottom of a contact sheet: what is flagged first, and the call that draws it again; or ""."""
    flagged = [row for row in rows if row.picked and row.findings]
    if not flagged:
        return ""
    first = flagged[0]
    more = f"; {len(flagged) - 1} more of {len(rows)} are marked" if len(flagged) > 1 else ""
    call = looks.call_of(first.findings[0], deck_id)
    return f"{first.slide} is marked {looks.short(first.findings)}{more}. Next: {call}"


def _on_white(deck: DeckSpec) -> set[str]:
    """Keys of the frames that have to stand on plain white: the panels of reference sheets."""
    sheets = {slide.name for slide in deck.slides if slide.layout == "reference_sheet"}
    return {frame.key for frame in frames(deck) if frame.slide in sheets}


def _judged(store: Store, takes: list[VisualRecord], on_white: set[str]) -> dict[str, list[Finding]]:
    """Findings by visual id: shown takes are compared with each other, other takes looked at alone."""
    against = Against(store)
    facts = {row.id: against.held(_measured(row, on_white), row) for row in takes}
    together = looks.judge([facts[row.id] for row in takes if row.picked])
    alone = {row.id: looks.judge([facts[row.id]])[row.slide] for row in takes if not row.picked}
    return {row.id: together[row.slide] if row.picked else alone[row.id] for row in takes}


def _measured(row: VisualRecord, on_white: set[str]) -> looks.Facts:
    facts = measure.facts(row.slide, Path(row.path), (row.width, row.height))
    return replace(facts, ground=measure.ground(Path(row.path))) if row.slide in on_white else facts
