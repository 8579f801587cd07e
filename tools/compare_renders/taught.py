"""What each column of a comparison is measured against: the images that its LoRAs learned from, or its references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loradeck.state.files import sha256_file
from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.appearance.copies import look_of
from loradeck.tools.appearance.training import pictures_of
from loradeck.tools.compare_renders.plan import Column, Plan
from loradeck.tools.pictures.grid import spread
from loradeck.tools.render_deck_visuals.references import kept_at
from loradeck.tools.workbench import Job

MOST_OF_A_LOOK = 40
"""So many training images stand for a look, evenly picked."""


@dataclass(frozen=True)
class Taught:
    """What a column is measured against: all training images that are known, and those that stand for the look.

    `whose` is the label of the column whose look it is; columns that share it are measured against the same pictures.
    """

    training: list[Path]
    look: list[Path]
    whose: str = ""


def taught_by(job: Job, plan: Plan) -> tuple[list[Taught], list[Path]]:
    """By column the look of its own LoRAs; without any the first that another column has, else its references.

    And the training images that do not open, which stand for nothing.
    """
    known = [_training(job.store, column) for column in plan.columns]
    damaged = list(dict.fromkeys(path for paths in known for path in paths if not _opens(path)))
    own = [[path for path in paths if path not in damaged] for paths in known]
    usual = next((paths for paths in own if paths), [])
    found = []
    for column, training in zip(plan.columns, own, strict=True):
        leaned = [kept_at(job.store.workspace.run(job.run.id), one) for one in column.brush.references]
        training = training if column.brush.looks else usual
        look = training or ([] if column.brush.looks else leaned)
        found.append(Taught(training, [look[at] for at in spread(list(range(len(look))), MOST_OF_A_LOOK)]))
    return _named(plan, found), damaged


def held_against(plan: Plan, found: Sequence[Taught]) -> str:
    """What which columns were held against, as a clause."""
    looks = {one.whose: one for one in found if one.look}
    against = []
    for whose, one in looks.items():
        labels = [column.label for column, other in zip(plan.columns, found, strict=True) if other.whose == whose]
        pictures = f"{len(one.look)} picture{'s' * (len(one.look) != 1)} that {whose} "
        pictures += "learned from" if one.training else "leans on"
        against.append(f"of {', '.join(labels)} against {pictures}" if len(looks) > 1 else f"against {pictures}")
    return f"closeness and leak {'; '.join(against)}" if against else "the look is not known here"


def about(plan: Plan, found: Sequence[Taught], damaged: Sequence[Path]) -> list[str]:
    """Which columns had no look of their own to be measured against, images that do not open, and that looks differ."""
    told = []
    unknown = [
        column.label for column, one in zip(plan.columns, found, strict=True) if column.brush.looks and not one.look
    ]
    if damaged:
        told.append(f"Training images that do not open were left out: {len(damaged)}.")
    if unknown:
        told.append(
            f"What {', '.join(unknown)} learned from is not known here, so closeness and copies were not measured."
        )
    if len({one.whose for one in found if one.look}) > 1:
        told.append("Closeness is compared only among variants that were measured against the same pictures.")
    return told


def _training(store: Store, column: Column) -> list[Path]:
    """All that is known of what a column's LoRAs learned from, each image once; of one that was deleted since, too."""
    loras = [store.find(LoraRecord, look.lora_id) for look in column.brush.looks]
    return list(dict.fromkeys(path for lora in loras if lora is not None for path in pictures_of(store, lora)))


def _opens(path: Path) -> bool:
    try:
        look_of(path)
    except OSError:
        return False
    return True


def _named(plan: Plan, found: Sequence[Taught]) -> list[Taught]:
    """Each with whose look it is: of the columns of the same pictures the first that learned from them."""
    contents = [frozenset(sha256_file(path) for path in one.look) for one in found]
    whose = {frozenset[str](): ""}
    for place in sorted(range(len(found)), key=lambda place: not plan.columns[place].brush.looks):
        whose.setdefault(contents[place], plan.columns[place].label)
    return [replace(one, whose=whose[pictures]) for one, pictures in zip(found, contents, strict=True)]
