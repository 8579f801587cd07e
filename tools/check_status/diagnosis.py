"""What is going wrong with a run, why, and the call that remedies it. Pure: facts in, diagnoses out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import median
from typing import Any

from loradeck.tools.contracts import Diagnosis, RunKind, RunState, TrainingPlan

Curve = list[tuple[int, float]]
ENOUGH_POINTS = 3
BARELY = 0.995
"""A held-out loss above this share of its first value has not fallen: its noise is fixed, so that little counts."""
WEAK = 0.98
"""One above this share at the end has fallen, and so little that the look will hardly show."""
GIVEN_BACK = 0.5
"""A held-out loss that lost this share of what it had gained has turned."""
ABOVE_START = 1.02
"""A loss on training pictures above this share of its first value: the steps lead away from them."""
FIFTH = 5
RUNS_AWAY = 2.5
"""Weights that grew by this since the middle of the run, while the held-out loss gained nothing: steps of equal size
would have doubled them. The LoRA runs away, which shows as artefacts."""
DARK_MEAN = 46.0
DARKER_THAN_SET = 0.6
"""Mean luma of samples under which they are dark (RND-DARK's number), unless the set itself is as dark."""
WAITING_SECONDS = 60.0


@dataclass(frozen=True)
class RunFacts:
    """What a diagnosis may look at; curves are (step, value).

    `error_kind` is the name of the error's class. `asked` are the arguments of the call that started a training.
    `sample_brightness` and `set_brightness` are mean luma, 0 to 255.
    """

    run_id: str
    state: RunState
    resume: str
    kind: RunKind | None = None
    base_model: str = ""
    dataset_id: str | None = None
    error: str | None = None
    error_kind: str | None = None
    step: int = 0
    steps: int = 0
    held_out: Curve = field(default_factory=list)
    in_train: Curve = field(default_factory=list)
    grad_norm: Curve = field(default_factory=list)
    lora_norm: Curve = field(default_factory=list)
    sample_brightness: Curve = field(default_factory=list)
    set_brightness: float | None = None
    plan: TrainingPlan | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    lora_id: str | None = None
    queued_seconds: float = 0.0
    claimed: bool = True


def diagnose(facts: RunFacts) -> list[Diagnosis]:
    """Everything that is worth saying, the gravest first; empty when all is well."""
    return [
        *_ended(facts),
        *_memory(facts),
        *_not_loading(facts),
        *_not_finite(facts),
        *_learning(facts),
        *_dark(facts),
        *_nobody(facts),
    ]


# --------------------------------------------------------------------------- runs that ended


def _ended(facts: RunFacts) -> Iterator[Diagnosis]:
    if facts.state == RunState.LOST:
        yield Diagnosis(
            what="The worker is gone",
            why="Its process was ended from outside, or the machine restarted; checkpoints and pictures are kept.",
            remedy=facts.resume,
        )


def _memory(facts: RunFacts) -> Iterator[Diagnosis]:
    if facts.error_kind == "OutOfMemory":
        yield Diagnosis(what="Out of memory", why=facts.error or "", remedy=_smaller(facts))


def _smaller(facts: RunFacts) -> str:
    """The rulebook's order: batch 1, then rank 8, then a smaller or quantised base."""
    plan = facts.plan
    if plan is None:
        return f"Close other programs, then {facts.resume}."
    if plan.batch_size > 1:
        return _anew(facts, batch_size=1)
    if plan.rank > 8:
        return _anew(facts, batch_size=1, rank=8)
    return f"{_anew(facts, batch_size=1, rank=8)} on a smaller base_model"


def _not_loading(facts: RunFacts) -> Iterator[Diagnosis]:
    """A LoRA that a training was to go on from, or a render to draw with."""
    if facts.error_kind != "BadWeights" or (facts.plan is not None and facts.plan.continue_from is None):
        return
    if facts.plan is not None:
        remedy = f"{_anew(facts, without=['continue_from'])} trains afresh"
    else:
        remedy = f'list_loras(base_model="{facts.base_model}") shows those that fit; render with one of them'
    yield Diagnosis(
        what="The LoRA does not load: it is for another base, or its keys are not ours",
        why=facts.error or "",
        remedy=f"{remedy}.",
    )


def _not_finite(facts: RunFacts) -> Iterator[Diagnosis]:
    if facts.error_kind == "Diverged" and facts.plan is not None:
        yield Diagnosis(
            what="The training diverged (TRN-FINITE)",
            why=facts.error or "",
            remedy=_anew(facts, learning_rate=facts.plan.learning_rate / 3),
        )


# --------------------------------------------------------------------------- how it learns


def _learning(facts: RunFacts) -> Iterator[Diagnosis]:
    """The first that holds of what can be wrong with the curves; each explains away those after it."""
    if facts.state in {RunState.FAILED, RunState.LOST}:
        return
    looks = (_diverging, _over_fitting, _flat, _growing, _weak)
    yield from islice(filter(None, (look(facts) for look in looks)), 1)


def _diverging(facts: RunFacts) -> Diagnosis | None:
    """The loss on training pictures themselves is above its start; told from the first look on."""
    curve = facts.in_train or facts.held_out
    if len(curve) < 2 or curve[-1][1] <= ABOVE_START * curve[0][1]:
        return None
    said = "the training pictures" if facts.in_train else "the held-out pictures"
    why = f"The stable loss on {said} was {curve[0][1]:.4f} before the first step and is {curve[-1][1]:.4f} at step "
    why += f"{curve[-1][0]}"
    why += _gradient(facts)
    slower = {"learning_rate": facts.plan.learning_rate / 10} if facts.plan else {}
    return Diagnosis(what="The training diverges", why=f"{why}.", remedy=_instead(facts, **slower))


def _over_fitting(facts: RunFacts) -> Diagnosis | None:
    """The held-out loss turned (TRN-CONVERGED)."""
    curve = facts.held_out
    if not _half_done(facts):
        return None
    first, last = curve[0][1], curve[-1][1]
    low_step, low = min(curve, key=lambda point: point[1])
    if low >= BARELY * first or last - low <= GIVEN_BACK * (first - low):
        return None
    return Diagnosis(
        what="The held-out loss rises: over-fitting (TRN-CONVERGED)",
        why=f"It was lowest at step {low_step} ({low:.4f}) and is {last:.4f} now; earlier checkpoints are kept.",
        remedy=_instead(facts, steps=low_step),
    )


def _flat(facts: RunFacts) -> Diagnosis | None:
    """The held-out loss must fall (TRN-LOSS)."""
    curve = facts.held_out
    if not _half_done(facts) or curve[-1][1] <= BARELY * curve[0][1]:
        return None
    faster = {"learning_rate": 2 * facts.plan.learning_rate} if facts.plan else {}
    return Diagnosis(
        what="The held-out loss does not fall (TRN-LOSS)",
        why=f"{curve[0][1]:.4f} before the first step, {curve[-1][1]:.4f} at step {curve[-1][0]} of {facts.steps}.",
        remedy=(
            f'Look at the captions first (view_images(of="{facts.dataset_id}"), write_captions), then '
            f"{_instead(facts, **faster)}."
        ),
    )


def _growing(facts: RunFacts) -> Diagnosis | None:
    """The LoRA grows on and on, and the held-out loss gains nothing by it."""
    plan, norm = facts.plan, facts.lora_norm
    if plan is None or not _half_done(facts) or len(norm) < ENOUGH_POINTS:
        return None
    middle, before = _at_half(norm), _at_half(facts.held_out)
    if norm[-1][1] < RUNS_AWAY * middle or facts.held_out[-1][1] < BARELY * before:
        return None
    return Diagnosis(
        what="The LoRA grows without settling: renders may show artefacts",
        why=(
            f"Since the middle of the run its weights grew from {middle:.3g} to {norm[-1][1]:.3g}, and the held-out "
            f"loss went from {before:.4f} to {facts.held_out[-1][1]:.4f}{_gradient(facts)}."
        ),
        remedy=_instead(facts, **_lower_rank(facts, plan)),
    )


def _at_half(curve: Curve) -> float:
    """The value at the middle of a curve's steps, or next after it."""
    return next(value for step, value in curve if 2 * step >= curve[-1][0])


def _lower_rank(facts: RunFacts, plan: TrainingPlan) -> dict[str, Any]:
    """Half the rank, and half the alpha with it where that was asked for: the LoRA then acts as strongly as before."""
    rank = max(1, plan.rank // 2)
    return {"rank": rank, **({"alpha": plan.alpha * rank / plan.rank} if "alpha" in facts.asked else {})}


def _weak(facts: RunFacts) -> Diagnosis | None:
    """It ended, and the held-out loss has hardly fallen."""
    curve, plan = facts.held_out, facts.plan
    if facts.state != RunState.SUCCEEDED or plan is None or not _half_done(facts):
        return None
    if curve[-1][1] <= WEAK * curve[0][1]:
        return None
    return Diagnosis(
        what="The look may be weak",
        why=f"The held-out loss fell from {curve[0][1]:.4f} to {curve[-1][1]:.4f} alone.",
        remedy=(
            f'render_deck_visuals(deck=..., loras=[{{"lora_id": "{facts.lora_id}", "strength": 1.5}}]); where that is '
            f"not enough {_anew(facts, steps=2 * plan.steps)}, then rank={2 * plan.rank}."
        ),
    )


def _half_done(facts: RunFacts) -> bool:
    """True when there is enough of a held-out curve to judge."""
    return len(facts.held_out) >= ENOUGH_POINTS and 2 * facts.step >= facts.steps


def _gradient(facts: RunFacts) -> str:
    """What the gradient norm did since the calmest fifth of the run, where it rose."""
    values = [value for _, value in facts.grad_norm]
    size = len(values) // FIFTH
    if not size:
        return ""
    fifths = [median(values[start : start + size]) for start in range(0, size * FIFTH, size)]
    calm, now = min(fifths), median(values[-size:])
    return f"; the gradient norm rose from {calm:.3g} to {now:.3g}" if now > calm else ""


# --------------------------------------------------------------------------- what it draws, and who runs it


def _dark(facts: RunFacts) -> Iterator[Diagnosis]:
    """Samples that call the look are dark, and the set is not."""
    drawn = [value for step, value in facts.sample_brightness if step > 0]
    if not drawn or facts.set_brightness is None:
        return
    if drawn[-1] >= DARK_MEAN or drawn[-1] >= DARKER_THAN_SET * facts.set_brightness:
        return
    lora = f'[{{"lora_id": "{facts.lora_id}"}}]' if facts.lora_id else "[...]"
    yield Diagnosis(
        what="Samples are too dark",
        why=f"Their mean brightness is {drawn[-1]:.0f} of 255; the training pictures have {facts.set_brightness:.0f}.",
        remedy=(
            f'render_deck_visuals(deck=..., loras={lora}, prompt_prefix="bright even daylight,", guidance=2.5), '
            "guidance up to 3.0, on a deck whose theme has background #1a1a1a in the place of #121212."
        ),
    )


def _nobody(facts: RunFacts) -> Iterator[Diagnosis]:
    if facts.state == RunState.QUEUED and not facts.claimed and facts.queued_seconds > WAITING_SECONDS:
        yield Diagnosis(
            what="No worker has taken the run",
            why="Workers that the server starts do not live long enough, as under clients that end their children.",
            remedy="Ask the person to run `loradeck worker` in a terminal; it takes what waits.",
        )


# --------------------------------------------------------------------------- the next call


def _instead(facts: RunFacts, **changes: Any) -> str:
    """Start it again with changes, after stopping what still runs."""
    stop = "" if facts.state.ended else f'stop_run(run_id="{facts.run_id}"), then '
    return stop + _anew(facts, **changes)


def _anew(facts: RunFacts, *, without: Sequence[str] = (), **changes: Any) -> str:
    """The call that started the training, with changes at its end and less what is named."""
    asked = {**facts.asked, "dataset_id": facts.dataset_id}
    kept = {name: value for name, value in asked.items() if name not in changes and name not in without}
    said = ", ".join(f"{name}={_written(name, value)}" for name, value in {**kept, **changes}.items())
    return f"start_training({said})"


def _written(name: str, value: Any) -> str:
    return f"{value:.1e}" if name == "learning_rate" else json.dumps(value, ensure_ascii=False)
