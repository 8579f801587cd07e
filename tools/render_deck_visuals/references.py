"""Reference pictures of a deck: looked at for REF-CLEAN and REF-COUNT, and kept, since a later call needs them too."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from loradeck.state.files import told, write_bytes
from loradeck.state.store import Store
from loradeck.tools.contracts import Finding, Severity, TargetModel
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.render_deck_visuals.plan import Leaned
from loradeck.tools.rulebook.references import MOST_REFERENCES, Reference, judge_references

FOR_APPLE = {".heic", ".heif"}
"""Curation converts these; what draws does not read them."""


def read_references(paths: Sequence[str] | None, base: str) -> tuple[dict[Leaned, bytes] | None, list[str]]:
    """The references that a call brings, with their bytes, and what is to be said of them; None when it brings none.

    Raises BadArgument for a file that cannot be read, Refused where a rule forbids them.
    """
    if paths is None:
        return None, []
    files = [Path(path).expanduser() for path in paths]
    findings = judge_references([_looked_at(path) for path in files], base)
    _refuse(findings)
    words = [f"{one.rule_id}: {one.why} {one.fix}" for one in findings]
    read: dict[Leaned, bytes] = {}
    for path in files:
        content = path.read_bytes()
        read[Leaned(path.name, hashlib.sha256(content).hexdigest())] = content
    if read:
        words.append(
            "The deck keeps copies of its references: give references again when a file has changed, [] to draw "
            "without any."
        )
    return read, words


def require_taken(base: str, references: Sequence[Leaned]) -> None:
    """Raise Refused where a base takes no references, or not so many."""
    if references and base not in MOST_REFERENCES:
        takers = [model.value for model in TargetModel if model in MOST_REFERENCES]
        raise Refused(
            f"The base {base} never learned to look at reference pictures; draw with base_model={takers[0]!r} (or "
            f"{', '.join(takers[1:])}), or give references=[]: a LoRA carries the look without them."
        )
    _refuse(judge_references([Reference(one.name, plain=True) for one in references], base))


def kept_at(store: Store, deck_id: str, reference: Leaned) -> Path:
    """Where a deck keeps a reference, under the name that it came with."""
    return store.workspace.deck(deck_id) / "references" / reference.sha256[:16] / reference.name


def keep(store: Store, deck_id: str, references: dict[Leaned, bytes]) -> None:
    """Write a deck's own copies. Raises DiskFull, WorkspaceReadOnly or StateError."""
    for reference, content in references.items():
        path = kept_at(store, deck_id, reference)
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)


def _refuse(findings: Sequence[Finding]) -> None:
    wrong = [f"{one.rule_id}: {one.why} {one.fix}" for one in findings if one.severity == Severity.ERROR]
    if wrong:
        raise Refused(" ".join(wrong))


def _looked_at(path: Path) -> Reference:
    from loradeck.tools.curate_dataset.grounds import ground_of  # here, since these load the picture library
    from loradeck.tools.curate_dataset.picture import Unfit, open_upright

    if not path.is_file():
        raise BadArgument(f"There is no reference picture {path.name!r} at that path; give the full path of the file.")
    if path.suffix.lower() in FOR_APPLE:
        raise BadArgument(f"The reference {path.name!r} cannot be used: export it as PNG or JPEG.")
    try:
        upright = open_upright(path)
    except Unfit as unfit:
        raise BadArgument(f"The reference {path.name!r} cannot be used: {unfit.why}") from unfit
    return Reference(path.name, ground_of(upright.picture).plain, transparent=upright.alpha is not None)
