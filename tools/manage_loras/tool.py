"""manage_loras: which LoRAs are in use, and how strongly. The other actions are announced, and say so."""

from __future__ import annotations

from loradeck.state.records import LoraRecord
from loradeck.tools.contracts import LoraAction, LorasResult, ManageLorasArgs
from loradeck.tools.errors import BadArgument, NotYet
from loradeck.tools.library import find_lora, lora_row
from loradeck.tools.spec import ToolSpec
from loradeck.tools.workbench import Workbench

INSTEAD = {
    LoraAction.IMPORT: "train one here, which enters the library by itself",
    LoraAction.EXPORT: "copy the file that list_loras names as `path`; it loads in any diffusers pipeline",
    LoraAction.PUBLISH: "upload the file that list_loras names as `path` yourself",
    LoraAction.DELETE: "leave it out of `loras` in render_deck_visuals; nothing draws with it then",
    LoraAction.RESTORE: "nothing needs restoring, since nothing is ever deleted",
}


def handle(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    """Mark a LoRA as in use, with a strength, or no longer. Raises NotFound, BadArgument or NotYet."""
    if args.action in INSTEAD:
        raise NotYet(
            f"manage_loras cannot {args.action.value} in this release (activate and deactivate work); "
            f"instead, {INSTEAD[args.action]}."
        )
    if args.lora_id is None:
        raise BadArgument(f"manage_loras needs lora_id to {args.action.value} a LoRA; list_loras shows them all.")
    lora = find_lora(bench.store, args.lora_id)
    active = args.action is LoraAction.ACTIVATE
    strength = lora.strength if args.strength is None else args.strength
    bench.store.change(LoraRecord, lora.id, active=active, strength=strength)
    now = find_lora(bench.store, lora.id)
    state = f"active at strength {strength:g}" if active else "no longer active"
    return LorasResult(
        summary=f"{now.name} v{now.version} ({now.id}) is {state}.",
        next_step="render_deck_visuals(deck=...) to draw with it." if active else "list_loras to see what is active.",
        loras=[lora_row(now)],
    )


TOOL = ToolSpec(
    name="manage_loras",
    title="Manage LoRAs",
    description=(
        "Mark a LoRA of the library as active (with a strength) or not; nothing on the disk changes. Actions activate "
        "and deactivate work; import, export, publish, delete and restore come with a later release and refuse in one "
        "sentence that says what to do instead. To only look, use list_loras."
    ),
    args=ManageLorasArgs,
    result=LorasResult,
    handler=handle,
    idempotent=True,
)
