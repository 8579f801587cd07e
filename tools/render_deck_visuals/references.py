"""Reference pictures of a deck: looked at for REF-CLEAN and REF-COUNT, and kept, since a later call needs them too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loradeck.state.files import told, write_bytes
from loradeck.tools.contracts import Finding, Severity, TargetModel
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.render_deck_visuals.plan import Leaned
from loradeck.tools.rulebook.references import FREE_OF_GROUND, MOST_REFERENCES, Reference, judge_references

if TYPE_CHECKING:
    from PIL.Image import Image

    from loradeck.tools.curate_dataset.picture import Upright

FOR_APPLE = {".heic", ".heif"}
"""Curation converts these; what draws does not read them."""
KEPT = "The deck keeps copies of its references: give references again when a file has changed, [] to draw without any."


def read_references(
    paths: Sequence[str] | None, base: str, *, cut_out: bool = False
) -> tuple[dict[Leaned, bytes] | None, list[str]]:
    """The references that a call brings, with their bytes, and what is to be said of them; None when it brings none.

    With `cut_out` they are copies on plain white. Raises BadArgument for a file that cannot be read, Refused where a
    rule forbids them or where one cannot be cut out.
    """
    if cut_out and not paths:
        raise BadArgument("cut_out lays references on a plain ground; give them with references=[...] in this call.")
    if paths is None:
        return None, []
    files = [Path(path).expanduser() for path in paths]
    uprights = [_opened(path) for path in files]
    judged = list(map(_judged, files, uprights))
    read, words = dict(map(_kept, files)), list[str]()
    if cut_out:
        judged, read, words = _cut(files, uprights, judged)
    findings = judge_references(judged, base)
    _refuse(findings)
    words += [f"{one.rule_id}: {one.why} {one.fix}" for one in findings]
    if read:
        words.append(f"{rule_for(base)} {KEPT}")
    return read, words


def rule_for(base: str) -> str:
    """Which rule of references holds for a render on a base, as a sentence."""
    ground = "no ground at all" if base in FREE_OF_GROUND else "one plain clean ground, or none"
    return f"References of {base} (REF-COUNT, REF-CLEAN): at most {MOST_REFERENCES.get(base, 0)}, each on {ground}."


def hashes_of(references: Iterable[Leaned]) -> Iterator[str]:
    """SHA-256 of all that is seen in references: the files sent, and those that they were cut out of."""
    for one in references:
        yield one.sha256
        if one.original is not None:
            yield one.original


def require_taken(base: str, references: Sequence[Leaned]) -> None:
    """Raise Refused where a base takes no references, or not so many."""
    if references and base not in MOST_REFERENCES:
        takers = [model.value for model in TargetModel if model in MOST_REFERENCES]
        raise Refused(
            f"The base {base} never learned to look at reference pictures; draw with base_model={takers[0]!r} (or "
            f"{', '.join(takers[1:])}), or give references=[]: a LoRA carries the look without them."
        )
    _refuse(judge_references([Reference(one.name, plain=True) for one in references], base))


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


def _refuse(findings: Sequence[Finding]) -> None:
    wrong = [f"{one.rule_id}: {one.why} {one.fix}" for one in findings if one.severity == Severity.ERROR]
    if wrong:
        raise Refused(" ".join(wrong))


def _opened(path: Path) -> Upright:
    from loradeck.tools.curate_dataset.picture import Unfit, open_upright  # here: it loads the picture library

    if not path.is_file():
        raise BadArgument(f"There is no reference picture {path.name!r} at that path; give the full path of the file.")
    if path.suffix.lower() in FOR_APPLE:
        raise BadArgument(f"The reference {path.name!r} cannot be used: export it as PNG or JPEG.")
    try:
        return open_upright(path)
    except Unfit as unfit:
        raise BadArgument(f"The reference {path.name!r} cannot be used: {unfit.why}") from unfit


def _judged(path: Path, upright: Upright) -> Reference:
    from loradeck.tools.curate_dataset.grounds import ground_of

    return Reference(path.name, ground_of(upright.picture).plain, transparent=upright.alpha is not None)


def _kept(path: Path) -> tuple[Leaned, bytes]:
    content = path.read_bytes()
    return Leaned(path.name, hashlib.sha256(content).hexdigest()), content


def _cut(
    files: Sequence[Path], uprights: Sequence[Upright], judged: Sequence[Reference]
) -> tuple[list[Reference], dict[Leaned, bytes], list[str]]:
    """Copies on plain white, as PNG, what is to be judged of them, and a sentence.

    One whose ground is plain already and has no outline to cut at stays as it is. Raises Refused with the names of
    others that cannot be cut out.
    """
    from loradeck.tools.render_deck_visuals.cutting import INSTALL, on_white

    cut = [on_white(upright) for upright in uprights]
    stuck = [one.name for one, picture in zip(judged, cut, strict=True) if picture is None and not one.plain]
    if stuck:
        raise Refused(
            f"cut_out cannot tell the subject of {', '.join(stuck)} from what is behind it; give a copy whose ground "
            f"is transparent or plain, or call without cut_out ({INSTALL})."
        )
    read = dict(
        _kept(path) if picture is None else _copy(path, picture) for path, picture in zip(files, cut, strict=True)
    )
    as_it_is = [path.name for path, picture in zip(files, cut, strict=True) if picture is None]
    count = len(files) - len(as_it_is)
    words = []
    if count:
        copies = "a copy" if count == 1 else f"{count} copies"
        words.append(f"Drawn from {copies} on plain white; the files stay as they were.")
    if as_it_is:
        words.append(f"As they are, since their ground is plain: {', '.join(as_it_is)}.")
    return [Reference(one.name, plain=True) for one in judged], read, words


def _copy(path: Path, picture: Image) -> tuple[Leaned, bytes]:
    from loradeck.tools.pictures.canvas import png

    content, original = png(picture), hashlib.sha256(path.read_bytes()).hexdigest()
    return Leaned(f"{path.stem}.png", hashlib.sha256(content).hexdigest(), original), content
