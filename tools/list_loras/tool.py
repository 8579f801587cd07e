"""list_loras: the library, newest first, read only."""

from __future__ import annotations

from loradeck.state.store import Store
from loradeck.tools.contracts import ListLorasArgs, LorasResult
from loradeck.tools.errors import BadArgument
from loradeck.tools.library import called, default_lora, find_any, library, lora_row
from loradeck.tools.spec import ToolSpec
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Workbench

A_PAGE = 50
MOST_NAMED = 4
"""Active LoRAs that the summary names."""


def handle(args: ListLorasArgs, bench: Workbench) -> LorasResult:
    """One page of the library, or one LoRA with its lineage. Raises NotFound or BadArgument."""
    if args.lora_id:
        return _one(bench.store, args.lora_id)
    there = library(bench.store, args.base_model)
    pages = max(1, -(-len(there) // A_PAGE))
    if args.page > pages:
        raise BadArgument(f"There is no page {args.page}; the last page is {pages}.")
    here = there[(args.page - 1) * A_PAGE : args.page * A_PAGE]
    if not there:
        summary = "The library is empty" + (f" for {args.base_model}." if args.base_model else ".")
        next_step = "Train a LoRA: curate_dataset(source=<folder>), then start_training."
    else:
        newest = there[0]
        actives = [lora for lora in there if lora.active]
        summary = (
            f"{len(there)} LoRA{'s' * (len(there) != 1)}; the newest is {newest.name} v{newest.version} ({newest.id})"
        )
        said = ", ".join(f"{called(lora)} at {lora.strength:g}" for lora in actives[:MOST_NAMED])
        more = f" and {len(actives) - MOST_NAMED} more" if len(actives) > MOST_NAMED else ""
        summary += f"; active: {said}{more}." if actives else ", none is active."
        used = default_lora(bench.store, args.base_model) or newest
        next_step = f'Render with it: render_deck_visuals(deck=..., loras=[{{"lora_id": "{used.id}"}}]).'
        if args.page < pages:
            next_step += f" More: list_loras(page={args.page + 1})."
    return LorasResult(
        summary=summary,
        next_step=next_step,
        loras=[lora_row(lora) for lora in here],
        page=args.page,
        pages=pages,
        preview_note=PREVIEW_NOTE if any(lora.preview for lora in here) else None,
    )


def _one(store: Store, ref: str) -> LorasResult:
    """One LoRA, a deleted one too: where it came from, what became of it, whether its file is whole."""
    from loradeck.tools.list_loras.lineage import family, origin

    lora = find_any(store, ref)
    use = f"active at {lora.strength:g}" if lora.active else "deleted" if lora.deleted_at else "not active"
    step = f'Draw with it: render_deck_visuals(deck=..., loras=[{{"lora_id": "{lora.id}"}}]).'
    if lora.deleted_at:
        step = f'manage_loras(action="restore", lora_id="{lora.id}") brings it back.'
    return LorasResult(
        summary=f"{called(lora)} is a LoRA for {lora.base_model}, {use}. {origin(store, lora)}",
        next_step=step,
        loras=[lora_row(lora)],
        told=list(family(store, lora)),
        preview_note=PREVIEW_NOTE if lora.preview else None,
    )


TOOL = ToolSpec(
    name="list_loras",
    title="List LoRAs",
    description=(
        "List the trained looks, newest first, 50 a page: id, name, version, base model, trigger, file path, size, "
        "hash and the run and dataset each came from. With lora_id (an id or a name) that one, its lineage, and "
        "whether its file is whole. Read only; to import, activate, export or delete use manage_loras."
    ),
    args=ListLorasArgs,
    result=LorasResult,
    handler=handle,
    read_only=True,
    idempotent=True,
)
