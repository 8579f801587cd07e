"""Reference pictures of a deck: looked at for REF-CLEAN and REF-COUNT, and kept, since a later call needs them too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loradeck.state.files import sha256_file, told, write_bytes
from loradeck.tools.contracts import Finding, Severity, TargetModel
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.given_path import given_path
from loradeck.tools.render_deck_visuals.plan import Leaned
from loradeck.tools.rulebook.references import FREE_OF_GROUND, MOST_REFERENCES, Reference, judge_references

if TYPE_CHECKING:
    from loradeck.tools.render_deck_visuals.reference_picture import Taken

KEPT = "The deck keeps copies of its references: give references again when a file has changed, [] to draw without any."


def read_references(
    paths: Sequence[str] | None, base: str, *, cut_out: bool = False
) -> tuple[dict[Leaned, bytes] | None, list[str]]:
    """The references that a call brings, with the bytes to keep, and what is to be said of them; None when it brings
    none.

    With `cut_out` they are copies on plain white. Raises NotFound and BadArgument for a file that cannot be read,
    Refused where a rule forbids them or where one cannot be cut out.
    """
    if cut_out and not paths:
        raise BadArgument("cut_out lays references on a plain ground; give them with references=[...] in this call.")
    if paths is None:
        return None, []
    files = [given_path(path) for path in paths]
    require_taken(base, [path.name for path in files])
    taken = _taken(files, cut_out=cut_out)
    words = _told_of_cuts(taken) if cut_out else []
    words += [f"{one.rule_id}: {one.why} {one.fix}" for one in judge_references([one.judged for one in taken], base)]
    if taken:
        words.append(f"{rule_for(base)} {KEPT}")
    return {one.leaned: one.content for one in taken}, words


def rule_for(base: str) -> str:
    """Which rule of references holds for a render on a base, as a sentence."""
    ground = "no ground at all" if base in FREE_OF_GROUND else "one plain clean ground, or none"
    return f"References of {base} (REF-COUNT, REF-CLEAN): at most {MOST_REFERENCES.get(base, 0)}, each on {ground}."


def hashes_of(references: Iterable[Leaned]) -> Iterator[str]:
    """SHA-256 of all that is seen in references: the files sent, and what those were made from or drawn from."""
    for one in references:
        yield one.sha256
        if one.original is not None:
            yield one.original
        yield from one.seen


def require_taken(base: str, names: Sequence[str]) -> None:
    """Raise Refused where a base takes no references, or not so many as are named."""
    if names and base not in MOST_REFERENCES:
        takers = [model.value for model in TargetModel if model in MOST_REFERENCES]
        raise Refused(
            f"The base {base} never learned to look at reference pictures; draw with base_model={takers[0]!r} (or "
            f"{', '.join(takers[1:])}), or give references=[]: a LoRA carries the look without them."
        )
    _refuse(judge_references([Reference(name, plain=True) for name in names], base))


def kept_at(folder: Path, reference: Leaned) -> Path:
    """Where a deck or a comparison keeps a reference in its folder, under the name that it came with."""
    return folder / "references" / reference.sha256[:16] / reference.name


def keep(folder: Path, references: dict[Leaned, bytes]) -> None:
    """Write the folder's own copies. Raises DiskFull, WorkspaceReadOnly or StateError."""
    for reference, content in references.items():
        path = kept_at(folder, reference)
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)


def require_kept(folder: Path, references: Iterable[Leaned]) -> None:
    """Raise Refused where a folder's copy of a reference is not what was judged when it came."""
    for one in references:
        path = kept_at(folder, one)
        if not path.is_file() or sha256_file(path) != one.sha256:
            raise Refused(f"The kept copy of the reference {one.name} is gone or changed; give references=[...] again.")


def _refuse(findings: Sequence[Finding]) -> None:
    wrong = [f"{one.rule_id}: {one.why} {one.fix}" for one in findings if one.severity == Severity.ERROR]
    if wrong:
        raise Refused(" ".join(wrong))


def _taken(files: Sequence[Path], *, cut_out: bool) -> list[Taken]:
    """The references from their files, one after another, since a picture in memory is large.

    Raises Refused with the names of those that cannot be cut out.
    """
    from loradeck.tools.render_deck_visuals.cutting import INSTALL  # here: these load the picture library
    from loradeck.tools.render_deck_visuals.reference_picture import take

    taken = [take(path, cut_out=cut_out) for path in files]
    stuck = [one for one in taken if cut_out and not (one.cut or one.judged.plain)]
    if stuck:
        troubles = "".join(f" {trouble}" for trouble in _troubles(stuck))
        raise Refused(
            f"cut_out cannot tell the subject of {', '.join(one.judged.name for one in stuck)} from what is behind it; "
            f"give a copy whose ground is transparent or plain, or call without cut_out ({INSTALL}).{troubles}"
        )
    return taken


def _told_of_cuts(taken: Sequence[Taken]) -> list[str]:
    """How many are copies on white, which stayed as they are, and what stood in the way of better cuts.

    One whose ground is plain already and has no outline to cut at stays as it is.
    """
    count = sum(one.cut for one in taken)
    as_it_is = [one.judged.name for one in taken if not one.cut]
    words = []
    if count:
        copies = "a copy" if count == 1 else f"{count} copies"
        words.append(f"Drawn from {copies} on plain white; the files stay as they were.")
    if as_it_is:
        words.append(f"As they are, since their ground is plain: {', '.join(as_it_is)}.")
    return words + _troubles(taken)


def _troubles(taken: Sequence[Taken]) -> list[str]:
    return list(dict.fromkeys(one.trouble for one in taken if one.trouble))
