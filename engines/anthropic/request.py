"""One picture as a request to the Messages API, what it may cost, and what the answer says."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from loradeck.engines.anthropic.models import ModelRow, picture_tokens, text_tokens
from loradeck.engines.anthropic.picture import MOST_PATCHES, sent_size
from loradeck.engines.base import CaptionJob
from loradeck.engines.hosted.answered import Answer

MOST_TOKENS = 1500
"""Of an answer, thoughts included: some five times what a caption with its attributes takes."""
USUAL_TOKENS = 320
FRAME_TOKENS = 100
"""What a request has beside picture, instructions and schema."""
MARGIN = 1.25
"""By so much a count of tokens from lengths may fall short."""
UNUSABLE = "The answer cannot be used ({why}), and it was paid; word these captions yourself, or make a new run."
ASK = "Describe this picture."


def parameters(job: CaptionJob, row: ModelRow, jpeg: bytes) -> dict[str, Any]:
    """The arguments of `messages.create`, and of one entry of a batch."""
    source = {"type": "base64", "media_type": "image/jpeg", "data": base64.b64encode(jpeg).decode("ascii")}
    output: dict[str, Any] = {"format": {"type": "json_schema", "schema": job.schema}} if job.schema else {}
    if row.effort:
        output["effort"] = row.effort
    return {
        "model": row.name,
        "max_tokens": MOST_TOKENS,
        "system": job.instructions,
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": words(job)}]}
        ],
        **({"output_config": output} if output else {}),
        **row.asked_with,
    }


def words(job: CaptionJob) -> str:
    """What is said beside the picture."""
    return f"{ASK}\n\n{job.again}" if job.again else ASK


def usual_usd(job: CaptionJob, row: ModelRow, *, batch: bool = False) -> float:
    """What a picture is expected to cost."""
    return row.usd(_input_tokens(job), USUAL_TOKENS, batch=batch)


def worst_usd(job: CaptionJob, row: ModelRow, *, batch: bool = False) -> float:
    """The most that a picture can cost."""
    return row.usd(MARGIN * _input_tokens(job), MOST_TOKENS, batch=batch)


def _input_tokens(job: CaptionJob) -> int:
    try:
        picture = picture_tokens(*sent_size(job.image))
    except OSError:
        picture = MOST_PATCHES  # told when its turn comes
    return picture + text_tokens(f"{job.instructions}{words(job)}{json.dumps(job.schema)}") + FRAME_TOKENS


def read(message: Mapping[str, Any], row: ModelRow, *, batch: bool = False) -> Answer:
    """What a message of the API says. It was paid, whatever it says."""
    usd, provider_id = _usd(message.get("usage"), row, batch), str(message.get("id") or "")

    def unusable(why: str) -> Answer:
        return Answer(usd=usd, provider_id=provider_id, failed=UNUSABLE.format(why=why))

    if message.get("stop_reason") == "refusal":
        return unusable("the model declined to describe the picture")
    if message.get("stop_reason") == "max_tokens":
        return unusable("it was cut off")
    blocks = message.get("content") or []
    text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    try:
        said = json.loads(text)
    except ValueError:
        return unusable("it is not the JSON that was asked for")
    if not isinstance(said, dict) or not isinstance(said.get("caption"), str) or not said["caption"].strip():
        return unusable("it holds no caption")
    attributes = {name: value for name, value in said.items() if name != "caption"}
    return Answer(said["caption"], attributes, usd, provider_id)


def _usd(usage: Any, row: ModelRow, batch: bool) -> float | None:
    """What the counted tokens cost, those that a cache held at the full price; None where they are not told."""
    if not isinstance(usage, Mapping) or not isinstance(usage.get("output_tokens"), int):
        return None
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return row.usd(sum(int(usage.get(name) or 0) for name in names), usage["output_tokens"], batch=batch)
