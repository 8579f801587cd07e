"""Reference pictures as a caller gives them, looked at for REF-CLEAN and REF-COUNT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loradeck.tools.contracts import Finding
from loradeck.tools.errors import BadArgument
from loradeck.tools.rulebook.references import Reference, judge_references


def judged(paths: Sequence[str], model: str) -> list[Finding]:
    """What the rules say of references for a model, errors first. Raises BadArgument for a file that cannot be read."""
    return judge_references([_looked_at(Path(path).expanduser()) for path in paths], model)


def _looked_at(path: Path) -> Reference:
    from loradeck.tools.curate_dataset.grounds import ground_of  # here, since these load the picture library
    from loradeck.tools.curate_dataset.picture import Unfit, open_upright

    if not path.is_file():
        raise BadArgument(f"There is no reference picture {path.name!r} at that path; give the full path of the file.")
    try:
        upright = open_upright(path)
    except Unfit as unfit:
        raise BadArgument(f"The reference {path.name!r} cannot be used: {unfit.why}") from unfit
    return Reference(path.name, ground_of(upright.picture).plain, transparent=upright.alpha is not None)
