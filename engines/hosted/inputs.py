"""How a picture is asked for: sizes, LoRAs, references and camera turns in the terms of an endpoint's row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loradeck.engines.base import DrawJob, DrawRequest, EditJob, EditRequest, LoraRef
from loradeck.engines.errors import BadSpec
from loradeck.engines.hosted.table import DrawerRow, EditorRow


def drawing(
    row: DrawerRow,
    request: DrawRequest,
    job: DrawJob,
    loras: Sequence[tuple[LoraRef, str]] = (),
    references: Sequence[str] = (),
) -> dict[str, Any]:
    """What is sent for one picture; LoRAs and references with the addresses where the host reads them."""
    given: dict[str, Any] = {**row.fixed, **size(row, job.width, job.height), **_loras(row, loras)}
    values: dict[str, Any] = {
        "prompt": job.prompt,
        "seed": job.seed,
        "guidance": row.defaults.get("guidance") if request.guidance is None else request.guidance,
        "steps": _whole(row.defaults.get("steps") if request.steps is None else request.steps),
        "references": (list(references) if row.most_references > 1 else references[0]) if references else None,
    }
    return given | _named(row.fields, values)


def editing(row: EditorRow, request: EditRequest, job: EditJob, images: Sequence[str]) -> dict[str, Any]:
    """What is sent for one change. Raises BadSpec for a turn that the endpoint cannot make."""
    values: dict[str, Any] = {
        "images": list(images) if row.many else images[0],
        "prompt": job.draw.prompt or None,
        "seed": job.draw.seed,
        "guidance": request.guidance,
        "steps": request.steps,
    }
    return {**row.fixed, **_turn(row, job), **_named(row.fields, values)}


def size(row: DrawerRow, width: int, height: int) -> dict[str, Any]:
    """The size in the endpoint's terms, as near as it takes to the one that is wanted."""
    if row.size_style == "aspect_ratio":
        return {"aspect_ratio": min(row.ratios, key=lambda ratio: _apart(ratio, width / height))}
    if row.size_style == "none":
        return {}
    scale = min(1.0, row.most_side / max(width, height))
    wide, high = (_side(side * scale, row) for side in (width, height))
    if row.size_style == "image_size":
        return {"image_size": {"width": wide, "height": high}}
    return dict(zip(row.size_fields, (wide, high), strict=True))


def takes(row: DrawerRow, loras: Sequence[LoraRef], references: int, by_itself: bool) -> bool:
    """Whether a row can draw with such LoRAs and so many references; `by_itself` where a model there has the LoRA."""
    if not row.least_references <= references <= row.most_references:
        return False
    if not loras:
        return row.lora_style != "destination"
    if row.lora_style == "destination":
        return by_itself and len(loras) <= row.most_loras
    return row.lora_style != "none" and not row.lora_refusal and len(loras) <= row.most_loras


def why_not(rows: Sequence[DrawerRow], base_model: str, host: str, loras: int, references: int) -> str:
    """The sentence on a request that no row of a base takes."""
    refusal = next((row.lora_refusal for row in rows if row.lora_refusal), "")
    if loras and refusal and not references:
        return refusal
    most_loras = max(row.most_loras for row in rows)
    most_references = max(row.most_references for row in rows)
    least = min(row.least_references for row in rows)
    if references < least:
        return (
            f"{host} draws on {base_model} with {least} to {most_references} references and not from words alone; "
            "give references=[...], or use another base_model."
        )
    return (
        f"{host} draws on {base_model} with {most_loras} LoRAs or {most_references} references at most, not with "
        f"{loras} LoRAs and {references} references in one picture; use fewer, or another engine."
    )


def _loras(row: DrawerRow, loras: Sequence[tuple[LoraRef, str]]) -> dict[str, Any]:
    if not loras:
        return {}
    first, scale = row.lora_fields
    if row.lora_style == "list":
        return {first: [{"path": url, "scale": lora.strength} for lora, url in loras]}
    lora, url = loras[0]
    return _named({"file": first, "scale": scale}, {"file": url, "scale": lora.strength})


def _turn(row: EditorRow, job: EditJob) -> dict[str, Any]:
    turn = job.turn
    if turn is None:
        return {}
    if row.turn is not None:
        return dict(row.turn(turn))
    if "horizontal" not in row.fields:
        raise BadSpec(f"{row.endpoint} does not turn the camera; use the model multi_angle for that.")
    return _named(row.fields, {"horizontal": turn.horizontal, "vertical": turn.vertical, "zoom": turn.zoom})


def _named(fields: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The values that are given and that the endpoint takes, by its names."""
    return {fields[ours]: value for ours, value in values.items() if value is not None and fields.get(ours)}


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _side(side: float, row: DrawerRow) -> int:
    return max(row.least_side, min(row.most_side, round(side / row.multiple) * row.multiple))


def _apart(ratio: str, shape: float) -> float:
    """How far a ratio in words ("16:9") is from a shape: the factor between them, 1 or more."""
    wide, _, high = ratio.partition(":")
    factor = float(wide) / float(high) / shape
    return max(factor, 1 / factor)
