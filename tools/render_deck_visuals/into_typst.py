"""A deck's visuals in a person's own Typst deck: images below titles, cards, or textures behind pages.

They come through a module that loradeck writes beside the file and the file imports. The file itself is changed only
where that was asked for: what would come out is compiled first, and a copy of what was there stays beside it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from loradeck.state.errors import DiskFull, FileInUse, StateError
from loradeck.state.files import sha256_file, write_bytes
from loradeck.tools.contracts import IntoTypst, Theme
from loradeck.tools.errors import Refused, ToolFault
from loradeck.tools.given_path import given_path
from loradeck.tools.render_deck_visuals import measure
from loradeck.tools.render_deck_visuals.output_folder import left_in, still_ours
from loradeck.tools.render_deck_visuals.pages import Page, PagePicture
from loradeck.tools.render_deck_visuals.typeset import quoted
from loradeck.tools.render_deck_visuals.typst_colours import theme_of
from loradeck.tools.render_deck_visuals.typst_deck import decoded, plain_ends, refusing_untidy, source_bytes
from loradeck.tools.render_deck_visuals.typst_lines import (
    Addition,
    Old,
    additions,
    applied,
    imports,
    old_lines,
    partners,
    without,
)
from loradeck.tools.render_deck_visuals.typst_titles import Title, titles
from loradeck.tools.render_deck_visuals.typst_try import NotSet, queried
from loradeck.tools.render_deck_visuals.written import Written

FUNCTIONS = Path(__file__).with_name("visuals.typ")
MODULE = "loradeck-visuals"
BACKUP = "-backup-"
SHARES = (45, 36, 28, 20)
"""Of a page's height that a picture may take, in percent: the largest at which the deck has as many pages as before."""
ROOTS_UP = 3
"""How many folders above the file are tried as Typst's root, where the file reads from there."""
MOST_DIFF = 60
MOST_LINES = 20
TEXTURE_VEIL = 0.8
"""How much of the page's own colour lies on a texture at least, which leaves a shade of the picture."""
ENTRY = re.compile(r'^  ("(?:[^"\\]|\\.)*"): \(file: ', re.MULTILINE)
"""A picture in a module; the group is its key as a string."""
PAGES = "\n#context [#metadata(here().page()) <loradeck-pages>]\n"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class _Deck:
    """A person's file as it was read: `text` as it stands, `plain` with plain line ends and every sign at its place."""

    path: Path
    mode: int
    data: bytes
    text: str
    plain: str
    titles: list[Title]
    theme: Theme


def check_into(ask: IntoTypst) -> Path:
    """The person's file, links followed.

    Raises NotFound, BadArgument, or Refused for a file that may not be changed, so that nothing is drawn for it.
    """
    return _read(ask).path


def _read(ask: IntoTypst) -> _Deck:
    given = given_path(ask.file)
    data = source_bytes(given)
    path = given.resolve()
    mode = stat.S_IMODE(path.stat().st_mode)
    if ask.rewrite and not (mode & 0o222 and os.access(path, os.W_OK)):
        raise Refused(
            f"{path.name} is read-only; make it writable, or leave out into.rewrite to be told the lines to add."
        )
    text = decoded(data, path.name)
    plain = plain_ends(text)
    with refusing_untidy(path.name):
        return _Deck(path, mode, data, text, plain, titles(plain), theme_of(plain))


def into(ask: IntoTypst, pages: Sequence[Page], written: Written) -> list[str]:
    """Write pictures and module beside the person's file, and change it or tell the lines to add.

    Returns what was done, the lines or the diff, and which slides found no title. What goes wrong is told: by now the
    pictures are drawn, and an error would end the render.
    """
    name = Path(ask.file).name
    try:
        with refusing_untidy(name):
            return _into(_read(ask), ask, pages, written)
    except (StateError, OSError) as error:
        why = _unwritten(error)
    except (ToolFault, ValueError) as error:
        why = str(error)
    return [f"The visuals did not get into {name}: {why}"]


def _unwritten(error: StateError | OSError) -> str:
    """What a refusal to write means for a person's own folder; the workspace's words would send them elsewhere."""
    if isinstance(error, DiskFull | FileInUse):
        return str(error)
    cause = error if isinstance(error, OSError) else error.__cause__
    reason = (isinstance(cause, OSError) and cause.strerror) or "unknown reason"
    return (
        f"its folder cannot be written ({reason}); see to its rights, and that no file lies where {MODULE} needs a "
        "folder, then make the same call again."
    )


@dataclass(frozen=True)
class _Checked:
    """What the file would be with the visuals in it: the share of a page they take, what Typst says against it."""

    share: int
    trouble: str | None
    more_pages: int = 0


def _into(deck: _Deck, ask: IntoTypst, pages: Sequence[Page], written: Written) -> list[str]:
    path, text = deck.path, deck.text
    keys = [picture.key for page in pages for picture in page.pictures]
    module, mode = _module_path(deck, written, keys, rewrite=ask.rewrite), (deck.mode & 0o666) | 0o600
    folder = module.with_suffix("")
    for name in left_in(folder):  # where the module was another deck's, its pictures were too
        if still_ours(folder, name):
            written.take_over(folder / name)
    for picture in (one for page in pages for one in page.pictures):
        written.leave(folder / picture.file, picture.path.read_bytes(), mode)
    matched = partners(pages, deck.titles)
    added = additions(deck.plain, ask.how, module.name, pages, matched)
    old = old_lines(text, ask.how, keys, module.name)
    after = applied(text, added)
    after = without(after, old_lines(after, ask.how, keys, module.name).gone)
    source = _source(deck.theme, pages, module.stem)
    checked = _checked(path, text, after, module, source)
    written.leave(module, _with_share(source, checked.share).encode(), mode, folder)
    written.clear(folder, {picture.file for page in pages for picture in page.pictures})
    words = _said(deck, ask, after, checked, old) + _unmatched(pages, matched, path)
    if after == text:
        return [f"{path.name} has the visuals already; its pictures beside it are as they are now.", *words]
    if not ask.rewrite or checked.trouble is not None:
        return [*words, *_lines(deck, added, old, module)]
    backup = _rewritten(deck, after)
    changed = f"{path.name} was changed; as it was before it is {backup.name} beside it."
    return [changed, *words, _diff(text, after, path.name, backup.name)]


def _said(deck: _Deck, ask: IntoTypst, after: str, checked: _Checked, old: Old) -> list[str]:
    """What a person should know of the check and of their own lines."""
    name = deck.path.name
    words = []
    if checked.trouble is not None and after != deck.text:
        words.append(f"{name} was not checked with the visuals in it: {checked.trouble}")
    if '"@preview/' in deck.text:
        words.append(
            f"To check {name}, Typst gets its @preview packages from the network where this machine lacks them."
        )
    if checked.more_pages > 0:
        more = f"{checked.more_pages} page{'s' * (checked.more_pages != 1)} more"
        words.append(f"{name} has {more} with the visuals in it, since they push words down there.")
    if "background:" in after.replace("background: loradeck.backgrounds", "") and ask.how == "backgrounds":
        words.append(f"{name} sets a background of its own, which hides ours on the pages behind it.")
    for number in sorted(old.stays):
        line = deck.plain.split("\n")[number - 1].strip()
        words.append(f"Line {number} of {name} has words of your own beside ours, so it stays as it is: {line}")
    return words


def _checked(path: Path, before: str, text: str, module: Path, source: str) -> _Checked:
    """The text with its lines, at the largest share of the page that moves nothing to other pages."""
    root, had = _page_count(path, before, {})
    if isinstance(had, str):
        return _Checked(SHARES[0], f"as it is, Typst cannot set it here ({had}).")
    fewest: tuple[int, int] | None = None
    for share in SHARES:
        _, has = _page_count(path, text, {module.name: _with_share(source, share)}, root)
        if isinstance(has, str):
            return _Checked(share, f"Typst cannot set it then ({has}), so it stays as it was.")
        if fewest is None or has < fewest[0]:
            fewest = (has, share)
        if has <= had:
            break
    has, share = fewest or (had, SHARES[0])
    return _Checked(share, None, has - had)


def _page_count(path: Path, text: str, beside: dict[str, str], root: Path | None = None) -> tuple[Path, int | str]:
    """How many pages a text would have in the file's place, or what Typst says; and the root it could be read from."""
    roots = [root] if root else [path.parent, *list(path.parent.parents)[:ROOTS_UP]]
    said = ""
    for one in roots:
        here = path.parent.relative_to(one)
        sources = {(here / name).as_posix(): other for name, other in {path.name: text + PAGES, **beside}.items()}
        sources["main"] = f"#include {quoted((here / path.name).as_posix())}"
        try:
            return one, int(queried(sources, "<loradeck-pages>", one)[-1])
        except NotSet as error:
            said = said or str(error)
            if "escape" not in str(error):
                break
    return path.parent, said


def _source(theme: Theme, pages: Sequence[Page], folder: str) -> str:
    """The module, with SHARE where the share of the page goes."""
    ink = measure.readable(theme.text, theme.background)

    def entry(picture: PagePicture) -> str:
        veil = max(TEXTURE_VEIL, measure.veil(picture.path, ink, theme.background))
        return (
            f"  {quoted(picture.key)}: (file: {quoted(f'{folder}/{picture.file}')}, alt: {quoted(picture.prompt)}, "
            f"caption: {quoted(picture.caption)}, veil: {veil:.0%}),"
        )

    head = [
        "// Made by loradeck and written anew at each render. Change your deck instead of this file.",
        "#let share = SHARE% // of a page's height that a picture takes at most",
        "#let pictures = (",
        *(entry(picture) for page in pages for picture in page.pictures),
        ")",
    ]
    return "\n".join(head) + "\n" + FUNCTIONS.read_text(encoding="utf-8")


def _with_share(source: str, share: int) -> str:
    return source.replace("SHARE", str(share), 1)


def _module_path(deck: _Deck, written: Written, keys: Sequence[str], *, rewrite: bool) -> Path:
    """The module beside a person's file: ours, or the first name that nothing has."""
    number = 1
    while True:
        module = deck.path.with_name(f"{MODULE}{f'-{number}' * (number > 1)}.typ")
        folder = module.with_suffix("")
        ours = written.knows(module) and written.left_last(module, folder)
        if ours or not any(map(os.path.lexists, (module, folder))):
            return module
        if rewrite and _may_be_replaced(module, deck, keys):
            return module
        number += 1


def _may_be_replaced(module: Path, deck: _Deck, keys: Sequence[str]) -> bool:
    """True for another deck's module that nobody changed, this file alone imports, and whose pictures we all have.

    So that module is not added to module as decks are made anew for a file, and no line ever lacks its picture.
    """
    if not module.is_file() or left_in(module.with_suffix("")).get(module.name) != sha256_file(module):
        return False
    if module.name not in (name for name, _ in imports(deck.plain)):
        return False
    if not set(ENTRY.findall(module.read_text(encoding="utf-8"))) <= set(map(quoted, keys)):
        return False
    beside = (one for one in module.parent.glob("*.typ") if one not in {module, deck.path} and one.is_file())
    others = (one for one in beside if not one.name.startswith(f"{deck.path.stem}{BACKUP}"))
    return not any(quoted(module.name).encode() in one.read_bytes() for one in others)


def _rewritten(deck: _Deck, text: str) -> Path:
    """Keep what is there beside it, then write the text. Returns the copy; raises Refused where the file changed."""
    path, number = deck.path, 1
    while os.path.lexists(backup := path.with_stem(f"{path.stem}{BACKUP}{number}")):
        number += 1
    if source_bytes(path) != deck.data:
        raise Refused(
            f"{path.name} was changed while it was checked, so it stays as it is now; make the same call again."
        )
    write_bytes(backup, deck.data, deck.mode)
    write_bytes(path, (BOM if deck.data.startswith(BOM) else b"") + text.encode(), deck.mode)
    return backup


def _lines(deck: _Deck, added: Sequence[Addition], old: Old, module: Path) -> list[str]:
    """The lines to add and ours to take out, each with its place in the file as it is; many of them in one sentence."""
    lines = deck.plain.split("\n")
    places = [f"{one.place(deck.plain)}: {one.line}" for one in added]
    places += [f"take out line {number}: {lines[number - 1].strip()}" for number in sorted(old.gone)]
    more = [f"... and {len(places) - MOST_LINES} more lines like these."] if len(places) > MOST_LINES else []
    do = "add these lines to it" if not old.gone else "add and take out these lines (numbers as the file is now)"
    how = (
        f"{deck.path.name} was not changed. {module.name} beside it holds the visuals; {do}, or call again "
        "with into.rewrite true (a backup is kept):"
    )
    return [how, *places[:MOST_LINES], *more]


def _unmatched(pages: Sequence[Page], matched: Mapping[int, object], path: Path) -> list[str]:
    names = [page.slide.name for number, page in enumerate(pages) if number not in matched]
    if not names:
        return []
    return [f"No slide title in {path.name} matches {', '.join(names)}; give such a slide that title as its heading."]


def _diff(before: str, after: str, name: str, backup: str) -> str:
    lines = list(unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="", n=1))
    cut = f"... and {len(lines) - MOST_DIFF} more lines; compare {name} with {backup} to see them all."
    return "\n".join([*lines[:MOST_DIFF], *[cut] * (len(lines) > MOST_DIFF)])
