"""list_loras: the library, newest first, read only."""

from __future__ import annotations

from loradeck.tools.contracts import ListLorasArgs, LorasResult
from loradeck.tools.errors import BadArgument
from loradeck.tools.library import find_lora, library, lora_row
from loradeck.tools.spec import ToolSpec
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Workbench

A_PAGE = 50


def handle(args: ListLorasArgs, bench: Workbench) -> LorasResult:
    """One page of the library, or one LoRA. Raises NotFound or BadArgument."""
    there = [find_lora(bench.store, args.lora_id)] if args.lora_id else library(bench.store, args.base_model)
    pages = max(1, -(-len(there) // A_PAGE))
    if args.page > pages:
        raise BadArgument(f"There is no page {args.page}; the last page is {pages}.")
    here = there[(args.page - 1) * A_PAGE : args.page * A_PAGE]
    if not there:
        summary = "The library is empty" + (f" for {args.base_model}." if args.base_model else ".")
        next_step = "Train a LoRA: curate_dataset(source=<folder>), then start_training."
    else:
        newest = there[0]
        active = next((lora for lora in there if lora.active), None)
        summary = (
            f"{len(there)} LoRA{'s' * (len(there) != 1)}; the newest is {newest.name} v{newest.version} ({newest.id})"
        )
        summary += f", {active.name} v{active.version} ({active.id}) is active." if active else ", none is active."
        used = active or newest
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


TOOL = ToolSpec(
    name="list_loras",
    title="List LoRAs",
    description=(
        "List the trained looks, newest first, 50 a page: id, name, version, base model, trigger, file path, size, "
        "hash and the run and dataset each came from. With lora_id (an id or a name) that one alone. Read only; to "
        "activate, export or delete use manage_loras."
    ),
    args=ListLorasArgs,
    result=LorasResult,
    handler=handle,
    read_only=True,
    idempotent=True,
)
