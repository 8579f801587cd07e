"""The finer options of a training (`TrainSpec.advanced`): their names, ranges and defaults."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from loradeck.engines.errors import BadSpec

TIMESTEPS = ("uniform", "logit_normal", "shifted")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Options:
    """How to train, beyond what every engine shares.

    `preservation` weighs the loss that holds prompts without the trigger to the base (0 is off);
    `preservation_batch` rows a step; `preservation_prior` adds the base's own pictures to the set's (where it has any).
    `timesteps` says how noise levels are picked, `shift` is for "shifted". `held_out` pictures are kept out of training
    to measure on; None is one for every eight, two at most. `ema` is the decay of the averaged weights, which are
    measured and exported (0 is off). `caption_dropout` is the share of rows that see the empty prompt. `masked_loss`
    weighs the loss by the images' masks, where black counts `mask_background`. `threads` 0 leaves torch's own number;
    `processes` learn side by side, 0 is one a GPU.
    """

    preservation: float = 1.0
    preservation_batch: int = 2
    preservation_prior: bool = True
    timesteps: str = "uniform"
    shift: float = 2.0
    schedule: str = "cosine"
    warmup_steps: int = 10
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0
    held_out: int | None = None
    ema: float = 0.0
    caption_dropout: float = 0.0
    masked_loss: bool = False
    mask_background: float = 0.0
    threads: int = 2
    processes: int = 0


NAMES = tuple(item.name for item in fields(Options))

Check = Callable[[Any], bool]


def _number(low: float, high: float) -> Check:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


RULES: dict[str, tuple[Check, str]] = {
    "preservation": (_number(0, 100), "a number from 0 (off) to 100"),
    "preservation_batch": (_whole(1, 64), "a whole number from 1 to 64"),
    "preservation_prior": (_is_bool, "true or false"),
    "timesteps": (lambda value: value in TIMESTEPS, f"one of {', '.join(TIMESTEPS)}"),
    "shift": (_number(0.1, 20), "a number from 0.1 to 20"),
    "schedule": (lambda value: value in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
    "warmup_steps": (_whole(0, 10_000), "a whole number from 0 to 10000"),
    "weight_decay": (_number(0, 1), "a number from 0 to 1"),
    "max_grad_norm": (_number(1e-6, 1e6), "a positive number"),
    "held_out": (_whole(0, 20), "a whole number from 0 to 20"),
    "ema": (_number(0, 0.99999), "a number from 0 (off) to 0.99999"),
    "caption_dropout": (_number(0, 1), "a number from 0 (off) to 1"),
    "masked_loss": (_is_bool, "true or false"),
    "mask_background": (_number(0, 1), "a number from 0 to 1"),
    "processes": (_whole(0, 64), "a whole number from 0 (one a GPU) to 64"),
    "threads": (_whole(0, 256), "a whole number from 0 (torch's own choice) to 256"),
}


def faults(advanced: Mapping[str, Any]) -> list[str]:
    """A sentence for every unknown name (with the nearest known one) and every value out of its range."""
    found = []
    for name, value in advanced.items():
        if name not in RULES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(NAMES)}."
            found.append(f"The local engine knows no advanced option {name!r}; {hint}")
        elif not RULES[name][0](value):
            found.append(f"The advanced option {name!r} must be {RULES[name][1]}, not {value!r}.")
    return found


def read(advanced: Mapping[str, Any], recipe: Mapping[str, Any]) -> Options:
    """The options in force: the caller's over the recipe's over the defaults. Raises BadSpec."""
    wrong = faults(advanced)
    if wrong:
        raise BadSpec(" ".join(wrong))
    return Options(**{**recipe, **advanced})
