"""manage_loras: LoRAs come into the library and go out of it, are in use or not, are deleted and restored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from loradeck.state import runs
from loradeck.state.files import now
from loradeck.state.records import LoraRecord, RunRecord
from loradeck.tools.contracts import LoraAction, LorasResult, ManageLorasArgs, RunKind, RunState
from loradeck.tools.errors import BadArgument
from loradeck.tools.given_path import given_path
from loradeck.tools.library import ACTIVATED, called, default_loras, find_lora, find_sure, lora_row, require_whole
from loradeck.tools.spec import ToolSpec
from loradeck.tools.waiting import wait_until
from loradeck.tools.workbench import Workbench

WAIT_SECONDS = 20.0
QUICK_BYTES = 200_000_000
"""Local files up to here are read, copied and written within a call."""


def handle(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    """Do one action. Raises children of ToolFault, StateError and EngineError."""
    return ACTIONS[args.action](args, bench)


def _named(args: ManageLorasArgs, bench: Workbench) -> LoraRecord:
    return find_sure(bench.store, _ref(args))


def _ref(args: ManageLorasArgs) -> str:
    if args.lora_id is None:
        raise BadArgument(f"manage_loras needs lora_id to {args.action.value} a LoRA; list_loras shows them all.")
    return args.lora_id


def _activate(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    """Put a LoRA in use, beside those of its base that are in use already."""
    lora = _named(args, bench)
    require_whole(lora)  # may read a large file, so it holds no lock
    with bench.store.transaction():
        lora = find_lora(bench.store, lora.id)  # it may be deleted since
        strength = lora.strength if args.strength is None else args.strength
        meta = {**lora.meta, ACTIVATED: now()}
        bench.store.change(LoraRecord, lora.id, active=True, strength=strength, meta=meta)
        active = find_lora(bench.store, lora.id)
    stack = [one for one in default_loras(bench.store, lora.base_model) if one.active]
    beside = ", ".join(f"{one.name} v{one.version} at {one.strength:g}" for one in stack)
    more = f"Active for {lora.base_model}, drawn together: {beside}." if len(stack) > 1 else "It is drawn alone."
    return LorasResult(
        summary=f"{called(active)} is active at strength {strength:g}. {more}",
        next_step="render_deck_visuals(deck=...) draws with what is active.",
        loras=[lora_row(active)],
    )


def _deactivate(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    lora = _named(args, bench)
    strength = lora.strength if args.strength is None else args.strength
    bench.store.change(LoraRecord, lora.id, active=False, strength=strength)
    resting = find_lora(bench.store, lora.id)
    return LorasResult(
        summary=f"{called(resting)} is no longer active; it stays in the library.",
        next_step="list_loras to see what is active.",
        loras=[lora_row(resting)],
    )


def _import(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    """A local file at once, a large or distant one in a run; with lora_id the trigger of one that came before."""
    from loradeck.tools.manage_loras.bringing import Wanted, bring, set_trigger, trigger_set

    if args.path and args.url:
        raise BadArgument("import takes path or url, not both; make two calls.")
    wanted = Wanted.of(args)
    if args.url:
        from loradeck.tools.manage_loras.sources import keep, mark, plain, split

        url = args.url.strip()
        split(url)
        spec = {"url": plain(url), "mark": mark(url), "wanted": wanted.as_dict()}
        return _in_a_run(bench, RunKind.IMPORT, spec, "mark", plain(url), lambda folder: keep(url, folder))
    if args.path:
        path = given_path(args.path).absolute()
        if path.is_file() and path.stat().st_size > QUICK_BYTES:
            spec = {"path": str(path), "wanted": wanted.as_dict()}
            return _in_a_run(bench, RunKind.IMPORT, spec, "path", path.name)
        return bring(bench.store, path, wanted, f"the file {path.name}", path.parent.name)
    if args.lora_id and wanted.trigger:
        return trigger_set(set_trigger(bench.store, _named(args, bench), wanted.trigger))
    raise BadArgument(
        'manage_loras(action="import") needs path="/path/to/a.safetensors" or url="https://..." or url="owner/name"; '
        "with lora_id and trigger alone it says the trigger of an imported LoRA."
    )


def _export(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    from loradeck.tools.manage_loras.exporting import export
    from loradeck.tools.manage_loras.job import licence

    lora = _named(args, bench)
    if not args.path:
        raise BadArgument(f'export needs path, a folder: manage_loras(action="export", lora_id="{lora.id}", path=...).')
    folder = given_path(args.path).absolute()
    if lora.bytes > QUICK_BYTES:
        spec = {"lora_id": lora.id, "folder": str(folder), "format": args.format}
        return _in_a_run(bench, RunKind.EXPORT, spec, "folder", lora.name)
    return export(bench.store, lora, folder, args.format, licence(bench.engines, lora.base_model))


def _publish(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    from loradeck.tools.manage_loras.job import licence
    from loradeck.tools.manage_loras.publishing import agreed

    lora, repository = _named(args, bench), (args.name or "").strip()
    answer = agreed(bench, lora, repository, licence(bench.engines, lora.base_model), args.offer_id)
    if answer is not None:
        return answer
    spec = {"lora_id": lora.id, "repository": repository}
    return _in_a_run(bench, RunKind.EXPORT, spec, "repository", lora.name)


def _delete(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    from loradeck.tools.manage_loras.trash import delete

    return delete(bench.store, _ref(args))


def _restore(args: ManageLorasArgs, bench: Workbench) -> LorasResult:
    from loradeck.tools.manage_loras.trash import restore

    return restore(bench.store, _ref(args))


ACTIONS: dict[LoraAction, Callable[[ManageLorasArgs, Workbench], LorasResult]] = {
    LoraAction.IMPORT: _import,
    LoraAction.ACTIVATE: _activate,
    LoraAction.DEACTIVATE: _deactivate,
    LoraAction.EXPORT: _export,
    LoraAction.PUBLISH: _publish,
    LoraAction.DELETE: _delete,
    LoraAction.RESTORE: _restore,
}


# --------------------------------------------------------------------------- runs


def _in_a_run(
    bench: Workbench,
    kind: RunKind,
    spec: dict[str, Any],
    by: str,
    name: str,
    prepare: Callable[[Path], None] | None = None,
) -> LorasResult:
    """The answer of a run that does it: one under way is followed, one that broke off goes on, else a new one starts.

    `by` is the entry of the spec that says what it is about, beside the LoRA. `prepare` gets the folder of the run
    before it starts.
    """
    store = bench.store
    runs.recover(store, bench.launch)
    with store.transaction():
        before = _before(bench, kind, spec, by)
        if before is not None and before.state in runs.ACTIVE:
            run = before
        elif before is not None and before.state != RunState.SUCCEEDED:
            store.change(RunRecord, before.id, spec=spec)
            run = runs.requeue(store, before.id)
        else:
            run = runs.enqueue(store, kind, spec, name=name)
        is_new = before is None or before.state not in runs.ACTIVE
        if is_new and prepare is not None:
            prepare(store.workspace.run(run.id))  # before any worker can see that the run is queued
    if is_new:
        bench.launch(run.id)
    return _followed(wait_until(store, run.id, WAIT_SECONDS, tell=bench.progress))


def _before(bench: Workbench, kind: RunKind, spec: dict[str, Any], by: str) -> RunRecord | None:
    """The newest run of the same thing."""
    rows = bench.store.where(RunRecord, "kind = ?", [kind], order="created_at desc, rowid desc")
    same = (by, "lora_id")
    return next((run for run in rows if all(run.spec.get(one) == spec.get(one) for one in same)), None)


def _followed(run: RunRecord) -> LorasResult:
    """The run's own answer when it ended, else where it stands."""
    state = RunState(run.state)
    if state == RunState.SUCCEEDED and run.result is not None:
        return LorasResult.model_validate(run.result).model_copy(update={"run_id": run.id, "state": state})
    said = (run.error or run.message or run.state).rstrip(".")
    if state.ended:
        summary = f"The {run.kind} {run.id} ended without a LoRA: {said}."
        following = "Do what the summary says, then make the call again; it goes on with what is there."
    else:
        summary = f"The {run.kind} goes on as {run.id}: {said}."
        following = f'check_status(run_id="{run.id}", wait_seconds=20) until it succeeded; its result is this answer.'
    return LorasResult(summary=summary, next_step=following, run_id=run.id, state=state)


TOOL = ToolSpec(
    name="manage_loras",
    title="Manage LoRAs",
    description=(
        "Import a LoRA file (path, https address or hub name; .safetensors alone), activate it with a strength "
        "(several are drawn together) or deactivate it, export it to a folder for diffusers and ComfyUI, publish it to "
        "a private Hugging Face repository once the person agreed, delete it to a trash, restore it. Downloads and "
        "publishing go on as a run: poll check_status. To only look, use list_loras."
    ),
    args=ManageLorasArgs,
    result=LorasResult,
    handler=handle,
    open_world=True,
)
