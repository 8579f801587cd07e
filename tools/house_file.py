"""A dataset's own `loradeck.toml`: found in its folder, taken along from its source."""

from __future__ import annotations

from pathlib import Path

from loradeck.state.files import write_text
from loradeck.state.store import Store
from loradeck.tools.errors import BadArgument
from loradeck.tools.rulebook.house import FILE, BadHouse, read_house
from loradeck.tools.rulebook.tables import House

MOST_BYTES = 256 * 1024


def house_of(store: Store, dataset_id: str) -> House:
    """What a dataset is judged by. Raises BadArgument, naming the file, where it cannot be followed."""
    path = store.workspace.dataset(dataset_id) / FILE
    return _read(path) if path.is_file() else House()


def take_along(store: Store, dataset_id: str, source: Path) -> str | None:
    """Copy the `loradeck.toml` beside a source into the dataset, unless it has one: what was done, in a sentence."""
    path, own = source / FILE, store.workspace.dataset(dataset_id) / FILE
    if not path.is_file() or path.is_symlink():
        return None
    try:
        _read(path)
    except BadArgument as error:
        return f"Not taken along: {error}"
    text = path.read_text("utf-8-sig")
    if not own.is_file():
        write_text(own, text)
        return f"The source's {FILE} was taken along; the dataset is judged by it."
    if own.read_text("utf-8-sig", errors="replace") == text:
        return None
    return f"The source's {FILE} differs from the dataset's own, which stays; edit {own} to change how it is judged."


def _read(path: Path) -> House:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadHouse("It is larger than 256 KB.")
        return read_house(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, BadHouse) as error:
        why = str(error) if isinstance(error, BadHouse) else "It cannot be read as UTF-8 text."
        raise BadArgument(f"{path} cannot be followed: {why} Mend the file, or remove it, and call again.") from error
