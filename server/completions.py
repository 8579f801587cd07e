"""What a client may offer while a person types an argument of a prompt or the id of a resource."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio.to_thread
from mcp.server import MCPServer
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from loradeck import LoradeckError
from loradeck.server.opening import Opening
from loradeck.tools.contracts import Profile

log = logging.getLogger(__name__)
MOST = 100
"""The protocol's limit on values in one answer."""


def add(server: MCPServer[Any], opening: Opening) -> None:
    """Answer completion/complete for both prompts and all resource templates."""

    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,  # noqa: ARG001  the SDK hands it to every completion
    ) -> Completion:
        where = ref.name if isinstance(ref, PromptReference) else ref.uri
        values = await anyio.to_thread.run_sync(_values, opening, where, argument.name, argument.value)
        return Completion(values=values[:MOST], total=len(values), has_more=len(values) > MOST)

    register = server.completion()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped
    register(complete)


def _values(opening: Opening, where: str, name: str, typed: str) -> list[str]:
    """All values that begin with what was typed, newest first; none while the workspace cannot be used."""
    source = SOURCES.get((where, name))
    if source is None:
        return []
    try:
        known = source(opening)
    except LoradeckError as error:
        log.info("No completions: %s", error)
        return []
    return [value for value in dict.fromkeys(known) if value.lower().startswith(typed.lower())]


def _profiles(opening: Opening) -> list[str]:  # noqa: ARG001  one signature for all sources
    return [profile.value for profile in Profile]


def _triggers(opening: Opening) -> list[str]:
    from loradeck.state.records import DatasetRecord

    return [row.trigger for row in opening.store.where(DatasetRecord, order="updated_at desc") if row.trigger]


def _datasets(opening: Opening) -> list[str]:
    from loradeck.state.records import DatasetRecord

    return [word for row in opening.store.where(DatasetRecord, order="updated_at desc") for word in (row.id, row.name)]


def _runs(opening: Opening) -> list[str]:
    from loradeck.state.records import RunRecord

    rows = opening.store.where(RunRecord, order="created_at desc")
    return [word for row in rows for word in (row.id, row.name) if word]


def _loras(opening: Opening) -> list[str]:
    from loradeck.state.records import LoraRecord

    rows = opening.store.where(LoraRecord, "deleted_at is null", order="created_at desc")
    return [word for row in rows for word in (row.name, row.id)]


def _decks(opening: Opening) -> list[str]:
    from loradeck.state.records import DeckRecord

    rows = opening.store.where(DeckRecord, order="updated_at desc")
    return [word for row in rows for word in (row.id, row.title) if word]


SOURCES: dict[tuple[str, str], Callable[[Opening], list[str]]] = {
    ("train_lora", "profile"): _profiles,
    ("train_lora", "trigger"): _triggers,
    ("render_deck", "lora"): _loras,
    ("render_deck", "deck_or_topic"): _decks,
    ("loradeck://datasets/{id}", "id"): _datasets,
    ("loradeck://runs/{id}", "id"): _runs,
    ("loradeck://loras/{id}", "id"): _loras,
    ("loradeck://decks/{id}", "id"): _decks,
}
