"""Datasets, runs, LoRAs and decks as resources to read, and the rules that are in force."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.resources import FunctionResource, Resource

from loradeck import LoradeckError
from loradeck.server.opening import Opening
from loradeck.tools.errors import NotFound

if TYPE_CHECKING:
    from loradeck.state.records import DeckRecord, RunRecord
    from loradeck.state.store import Store

JSON = "application/json"
MOST_ROWS = 200
ABOUT = {
    "datasets": "Datasets, newest first: id, name, profile, trigger, how many images are kept.",
    "runs": "Runs, newest first: id, kind, state, step of steps.",
    "loras": "The LoRA library: id, name, version, base model, trigger, file.",
    "decks": "Decks, newest first: id, title, slides.",
}
WITHHELD = ("token", "pid", "pid_started", "lease_until")
"""Columns of a run that only its worker needs."""


def fixed(opening: Opening) -> list[Resource]:
    """The lists: loradeck://datasets, runs, loras, decks; loradeck://rules and loradeck://schemas/deck."""
    listing = [
        _resource(f"loradeck://{kind}", about, lambda kind=kind: LISTS[kind](opening.store))  # type: ignore[misc]
        for kind, about in ABOUT.items()
    ]
    return [
        *listing,
        _resource("loradeck://rules", "The rules in force, by id: what each says and how hard.", _rules),
        _resource("loradeck://schemas/deck", "JSON schema of a deck file, and of `deck` in a call.", _deck_schema),
    ]


def add_templates(server: MCPServer[Any], opening: Opening) -> None:
    """One template a kind: loradeck://datasets/{id} and so on; an id or, where there is one, a name."""
    for kind in ABOUT:
        _add_template(server, opening, kind)


def _add_template(server: MCPServer[Any], opening: Opening, kind: str) -> None:
    def read(id: str) -> str:
        return _told(lambda: ONE[kind](opening.store, id))

    server.resource(
        f"loradeck://{kind}/{{id}}",
        name=kind.removesuffix("s"),
        title=_title(kind.removesuffix("s")),
        description=f"One of loradeck://{kind}, by id or name (the newest of that name).",
        mime_type=JSON,
    )(read)


def _title(name: str) -> str:
    """A name as a person reads it: Datasets, LoRAs, Schema of a deck."""
    if name.startswith("schemas/"):
        return f"Schema of a {name.removeprefix('schemas/')}"
    return name.replace("lora", "LoRA") if "lora" in name else name.capitalize()


def _resource(uri: str, about: str, read: Callable[[], Any]) -> Resource:
    name = uri.removeprefix("loradeck://")
    return FunctionResource(uri=uri, name=name, title=_title(name), description=about, mime_type=JSON, fn=_reader(read))


def _reader(read: Callable[[], Any]) -> Callable[[], str]:
    return lambda: _told(read)


def _told(read: Callable[[], Any]) -> str:
    """JSON text. What is not there becomes -32602, everything else that loradeck foresees its own sentence."""
    try:
        return json.dumps(read(), ensure_ascii=False, indent=1)
    except NotFound as error:
        raise ResourceNotFoundError(str(error)) from error
    except LoradeckError as error:
        raise ResourceError(str(error)) from error


# --------------------------------------------------------------------------- lists


def _datasets(store: Store) -> list[dict[str, Any]]:
    from loradeck.state.records import DatasetRecord, ImageRecord

    return [
        {
            "id": row.id,
            "uri": f"loradeck://datasets/{row.id}",
            "name": row.name,
            "profile": row.profile,
            "target_model": row.target_model,
            "trigger": row.trigger,
            "kept": store.count(ImageRecord, "dataset_id = ? and status = 'kept'", [row.id]),
            "updated_at": row.updated_at,
        }
        for row in store.where(DatasetRecord, order="updated_at desc", limit=MOST_ROWS)
    ]


def _runs(store: Store) -> list[dict[str, Any]]:
    from loradeck.state.records import RunRecord

    return [
        {
            "id": row.id,
            "uri": f"loradeck://runs/{row.id}",
            "kind": row.kind,
            "name": row.name,
            "state": row.state,
            "step": row.step,
            "steps": row.steps,
            "dataset_id": row.dataset_id,
            "deck_id": row.deck_id,
            "created_at": row.created_at,
        }
        for row in store.where(RunRecord, order="created_at desc", limit=MOST_ROWS)
    ]


def _loras(store: Store) -> list[dict[str, Any]]:
    from loradeck.state.records import LoraRecord
    from loradeck.tools.library import lora_row

    rows = store.where(LoraRecord, "deleted_at is null", order="created_at desc", limit=MOST_ROWS)
    return [{"uri": f"loradeck://loras/{row.id}", **lora_row(row).model_dump(mode="json")} for row in rows]


def _decks(store: Store) -> list[dict[str, Any]]:
    from loradeck.state.records import DeckRecord

    return [
        {
            "id": row.id,
            "uri": f"loradeck://decks/{row.id}",
            "title": row.title,
            "slides": [slide["name"] for slide in row.spec.get("slides", [])],
            "updated_at": row.updated_at,
        }
        for row in store.where(DeckRecord, order="updated_at desc", limit=MOST_ROWS)
    ]


# --------------------------------------------------------------------------- one


def _dataset(store: Store, ref: str) -> dict[str, Any]:
    """The dataset with its kept images, their captions, and the newest report."""
    from loradeck.state.records import ReportRecord
    from loradeck.tools.datasets import captions_of, find_dataset, kept_images

    row = find_dataset(store, ref)
    captions = captions_of(store, row.id)
    reports = store.where(ReportRecord, "dataset_id = ?", [row.id], order="created_at desc", limit=1)
    return {
        **{name: value for name, value in asdict(row).items() if name not in {"history", "source"}},
        "folder": str(store.workspace.dataset(row.id)),
        "images": [
            {
                "image_id": image.id,
                "number": image.number,
                "file": image.file,
                "caption": captions[image.id].text if image.id in captions else None,
            }
            for image in kept_images(store, row.id)
        ],
        "report": {"report_id": reports[0].id, "verdict": reports[0].verdict} if reports else None,
    }


def _run(store: Store, ref: str) -> dict[str, Any]:
    """The run, its last events and its losses."""
    from loradeck.state import runs
    from loradeck.tools.run_lookup import find_run

    row = find_run(store, ref)
    return {
        **{name: value for name, value in asdict(row).items() if name not in WITHHELD},
        **_same_name(store, row, ref),
        "events": [event.message for event in runs.events(store, row.id, last=20)],
        "loss": runs.metric(store, row.id, "loss")[-20:],
        "held_out_loss": runs.metric(store, row.id, "held_out_loss"),
    }


def _lora(store: Store, ref: str) -> dict[str, Any]:
    from loradeck.tools.library import find_lora, lora_row

    return lora_row(find_lora(store, ref)).model_dump(mode="json")


def _deck(store: Store, ref: str) -> dict[str, Any]:
    """The deck's specification and the takes that are picked."""
    from loradeck.state.records import VisualRecord
    from loradeck.tools.render_deck_visuals.gallery import find_deck

    row = find_deck(store, ref)
    visuals = store.where(VisualRecord, "deck_id = ? and picked = 1", [row.id])
    names = ("slide", "take", "path", "prompt", "seed", "width", "height")
    return {
        **asdict(row),
        **_same_name(store, row, ref),
        "folder": str(store.workspace.deck(row.id)),
        "visuals": [{name: getattr(visual, name) for name in names} for visual in visuals],
    }


def _same_name(store: Store, row: DeckRecord | RunRecord, ref: str) -> dict[str, list[str]]:
    """Ids of the others of its kind that bear the name it was asked by, since names of these may be shared."""
    from loradeck.tools.names import namesakes

    prefix = row.id.partition("_")[0]
    others = [one for one in namesakes(store, row, ref) if one.startswith(f"{prefix}_")]
    return {"same_name": others[:MOST_ROWS]} if others else {}


def _rules() -> list[dict[str, Any]]:
    """Every rule in force: what it says, how hard it is for each profile, who tells it, whether it can be waived."""
    from loradeck.tools.rulebook.manifest import EVERY, IDS
    from loradeck.tools.rulebook.tables import NEVER_WAIVED

    return [
        {
            "rule_id": rule.id,
            "judges": rule.scope.value,
            "says": rule.says,
            "severity": {profile.value: severity.value for profile, severity in rule.severities.items()},
            "told_by": rule.told_by,
            "can_be_waived": rule.id in IDS - NEVER_WAIVED,
        }
        for rule in EVERY
    ]


def _deck_schema() -> dict[str, Any]:
    from loradeck.tools.render_deck_visuals.deck_schema import deck_schema

    return deck_schema()


LISTS: dict[str, Callable[[Store], Any]] = {"datasets": _datasets, "runs": _runs, "loras": _loras, "decks": _decks}
ONE: dict[str, Callable[[Store, str], Any]] = {"datasets": _dataset, "runs": _run, "loras": _lora, "decks": _deck}
