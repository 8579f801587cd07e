"""Everything that is decided before anything is drawn: the set, the shots, the engine, prompts, captions and prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loradeck.engines.base import Ability, Engine
from loradeck.state.files import sha256_json
from loradeck.state.records import DatasetRecord, ImageRecord
from loradeck.tools.contracts import CandidatesArgs
from loradeck.tools.datasets import copy_path, find_dataset, kept_images
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.generate_candidates.asked import asked
from loradeck.tools.generate_candidates.captions import Captioned, given, with_captions
from loradeck.tools.generate_candidates.chain import Candidate, Chained, by_reference, in_words, three_passes
from loradeck.tools.generate_candidates.passes import SIDE
from loradeck.tools.generate_candidates.prices import Price, priced
from loradeck.tools.leaving import must_not_leave
from loradeck.tools.ready import drawing_engine, editing_engine
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.images import is_drawn_by_a_lora
from loradeck.tools.validate_coverage.shots import shot_list
from loradeck.tools.validate_coverage.tool import facts_now
from loradeck.tools.workbench import Workbench

MOST_CANDIDATES = 200
THREE_PASS, REFERENCE, TEXT = "three_pass", "reference", "text"
NEEDED: dict[str, frozenset[Ability]] = {
    THREE_PASS: frozenset({"edit", "upscale"}),
    REFERENCE: frozenset({"edit"}),
}
"""What an engine must be able to do for a mode."""


@dataclass(frozen=True)
class Plan:
    """Candidates that may be drawn, and what that costs.

    `parents` are the images that they are made from, by id; `identity` is what makes two calls the same.
    """

    dataset: DatasetRecord
    mode: str
    engine: Engine
    base_model: str
    side: int
    preview: bool
    licence: str
    candidates: tuple[Candidate, ...]
    told: tuple[str, ...]
    parents: Mapping[str, ImageRecord]
    identity: str
    price: Price

    @property
    def passes(self) -> int:
        """Pictures to make, those between passes counted."""
        return sum(len(one.passes) for one in self.candidates)

    def spec(self) -> dict[str, Any]:
        """What the job needs, as JSON."""
        return {
            "mode": self.mode,
            "side": self.side,
            "preview": self.preview,
            "licence": self.licence,
            "candidates": [one.to_json() for one in self.candidates],
            "told": list(self.told),
        }


def prepare(args: CandidatesArgs, bench: Workbench) -> Plan:
    """Plan the candidates of a call. Raises NotFound, BadArgument, Refused or NotInstalled; nothing was drawn then."""
    dataset = find_dataset(bench.store, args.dataset_id)
    if not dataset.trigger:
        raise Refused(
            f"{dataset.name!r} has no trigger yet, and every caption begins with it; choose a made-up word with "
            f'curate_dataset(dataset_id="{dataset.id}", trigger="...").'
        )
    facts = facts_now(bench.store, dataset)
    mode = _mode(args, facts)
    side = max(SIDE, dataset.resolution)
    base = dataset.target_model if mode == TEXT else ""
    if mode == TEXT:
        engine = drawing_engine(bench, args.engine, base)
    else:
        engine = editing_engine(bench, args.engine, NEEDED[mode])
    captioned = _candidates(args, bench, dataset, facts, mode)
    parents = _parents(bench, dataset, engine, captioned.candidates, facts)
    paths = {image_id: copy_path(bench.store, row) for image_id, row in parents.items()}
    info = engine.capabilities.base(base)
    price = priced(engine, captioned.candidates, paths, base, side)
    return Plan(
        dataset=dataset,
        mode=mode,
        engine=engine,
        base_model=base,
        side=side,
        preview=info is not None and info.preview,
        licence=info.licence if info is not None else "",
        candidates=tuple(captioned.candidates),
        told=tuple(captioned.told),
        parents=parents,
        identity=_identity(dataset, facts, mode, engine.name, base, captioned.candidates, parents),
        price=price,
    )


def _mode(args: CandidatesArgs, facts: SetFacts) -> str:
    """As asked; else three passes for a figure, and words alone for a look and for captions. Raises BadArgument."""
    if args.captions is not None and (args.shots is not None or args.mode not in {None, TEXT}):
        raise BadArgument('captions are drawn from their own words: give them with mode="text" or none, without shots.')
    if args.mode is None:
        return THREE_PASS if facts.is_figure and args.captions is None else TEXT
    if args.mode != TEXT and not facts.is_figure:
        raise BadArgument(
            f"mode={args.mode!r} turns a camera around one identity, and this set teaches a look; use mode='text', or "
            "give captions."
        )
    return args.mode


# --------------------------------------------------------------------------- what is drawn


def _candidates(
    args: CandidatesArgs, bench: Workbench, dataset: DatasetRecord, facts: SetFacts, mode: str
) -> Captioned:
    seed = _first_seed(bench, dataset)
    chained = given(args.captions, facts, seed) if args.captions is not None else _of_shots(args, facts, mode, seed)
    if len(chained.candidates) > MOST_CANDIDATES:
        raise BadArgument(
            f"That makes {len(chained.candidates)} candidates, and a call takes {MOST_CANDIDATES}; ask for fewer shots."
        )
    if mode == TEXT and not facts.subject:
        chained.told.append(
            "The set has no words for its look, so the prompts carry none; curate_dataset(subject=...) gives them."
        )
    captioned = with_captions(chained, facts)
    if not captioned.candidates:
        raise Refused(
            " ".join(captioned.told) or "The set lacks nothing that a picture could mend; name shots to draw more."
        )
    return captioned


def _of_shots(args: CandidatesArgs, facts: SetFacts, mode: str, seed: int) -> Chained:
    shots = asked(args.shots if args.shots is not None else shot_list(facts), facts)
    if mode == TEXT:
        return in_words(shots, facts, seed)
    chained = three_passes(shots, facts, seed) if mode == THREE_PASS else by_reference(shots, facts, seed)
    if shots and not chained.candidates:
        wanted = "an image" if mode == THREE_PASS else "two images"
        raise Refused(
            f"mode={mode!r} needs {wanted} of the subject whose angle is known, neutral or marked as keystone; add "
            "keystones with curate_dataset and give their angle and framing with write_captions (attributes: "
            "{angle, framing, keystone: true}), or draw from words with mode='text'."
        )
    return chained


def _first_seed(bench: Workbench, dataset: DatasetRecord) -> int:
    """Another one once pictures came in, so that the same shots asked for again are drawn anew."""
    rows = bench.store.read("select coalesce(max(number), 0) as last from images where dataset_id = ?", [dataset.id])
    return 1000 * int(rows[0]["last"])


def _parents(
    bench: Workbench, dataset: DatasetRecord, engine: Engine, candidates: Sequence[Candidate], facts: SetFacts
) -> dict[str, ImageRecord]:
    """The rows of the pictures that candidates are made from. Raises Refused (IMG-ORIGIN, IMG-RIGHTS)."""
    ids = {image_id for one in candidates for image_id in one.parents}
    circular = [image for image in facts.images if image.id in ids and is_drawn_by_a_lora(image)]
    if circular:
        raise Refused(
            f"IMG-ORIGIN: {', '.join(f'image {image.number}' for image in circular)} would be the model of candidates "
            "and was itself made with a LoRA, whose mistakes would be learned again; reject it, or mark others as "
            "keystones."
        )
    rows = {row.id: row for row in kept_images(bench.store, dataset.id) if row.id in ids}
    must_not_leave(engine, list(rows.values()))
    return rows


def _identity(
    dataset: DatasetRecord,
    facts: SetFacts,
    mode: str,
    engine: str,
    base: str,
    candidates: Sequence[Candidate],
    parents: Mapping[str, ImageRecord],
) -> str:
    """The hash of what is drawn and from what; without seeds and what is composed by them: both change once pictures
    came in.
    """
    hashes = {image.id: image.sha256 for image in facts.images if image.id in parents}
    jobs = [asdict(one) | {"seed": 0, "caption": "" if one.composed else one.caption} for one in candidates]
    return sha256_json([dataset.id, mode, engine, base, jobs, sorted(hashes.items())])
