"""A deck's visuals in a person's own Typst deck: images below titles, cards, or textures behind pages.

They come through a module that loradeck writes beside the file and the file imports. The file itself is changed only
where that was asked for: what would come out is compiled first, and a copy of what was there stays beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from loradeck.state.errors import StateError
from loradeck.state.files import told, write_bytes
from loradeck.tools.contracts import IntoTypst, Theme
from loradeck.tools.errors import ToolFault
from loradeck.tools.render_deck_visuals import measure
from loradeck.tools.render_deck_visuals.pages import Page, PagePicture
from loradeck.tools.render_deck_visuals.typeset import quoted
from loradeck.tools.render_deck_visuals.typst_colours import theme_of
from loradeck.tools.render_deck_visuals.typst_deck import source_text, titles_in
from loradeck.tools.render_deck_visuals.typst_lines import Addition, additions, applied, partners, without_others
from loradeck.tools.render_deck_visuals.typst_try import NotSet, queried
from loradeck.tools.render_deck_visuals.written import Written

FUNCTIONS = Path(__file__).with_name("visuals.typ")
MODULE = "loradeck-visuals"
SHARES = (45, 36, 28, 20)
"""Of a page's height that a picture may take, in percent: the largest at which the deck has as many pages as before."""
ROOTS_UP = 3
"""How many folders above the file are tried as Typst's root, where the file reads from there."""
MOST_DIFF = 60
MOST_LINES = 20
TEXTURE_VEIL = 0.8
"""How much of the page's own colour lies on a texture at least, which leaves a shade of the picture."""
PAGES = "\n#context [#metadata(here().page()) <loradeck-pages>]\n"
BOM = b"\xef\xbb\xbf"


def check_into(ask: IntoTypst) -> Path:
    """The person's file, links followed. Raises NotFound or BadArgument, so that nothing is drawn for a wrong path."""
    path = Path(ask.file).expanduser()
    titles_in(source_text(path), path.name)
    return path.resolve()


def into(ask: IntoTypst, pages: Sequence[Page], written: Written) -> list[str]:
    """Write pictures and module beside the person's file, and change it or tell the lines to add. Never raises for it.

    Returns what was done, the lines or the diff, and which slides found no title.
    """
    try:
        return _into(ask, check_into(ask), pages, written)
    except (ToolFault, StateError) as error:
        return [f"The visuals did not get into {Path(ask.file).name}: {error}"]


@dataclass(frozen=True)
class _Planned:
    """What the file becomes. `pages` is how many it has then and had before, None where it cannot be set here."""

    text: str
    added: list[Addition]
    share: int
    trouble: str | None
    more_pages: int = 0


def _into(ask: IntoTypst, path: Path, pages: Sequence[Page], written: Written) -> list[str]:
    data = path.read_bytes()
    text = source_text(path)
    module = _module_path(path.parent, written)
    for picture in (one for page in pages for one in page.pictures):
        written.save(module.with_suffix("") / picture.file, picture.path.read_bytes())
    keys = [picture.key for page in pages for picture in page.pictures]
    kept = without_others(text, ask.how, keys)
    found = titles_in(kept, path.name)
    matched = partners(pages, found)
    added = additions(kept, ask.how, module.name, pages, matched)
    source = _source(theme_of(kept), pages, module.stem)
    planned = _planned(path, text, kept, added, module, source)
    written.save(module, _with_share(source, planned.share).encode())
    words = _unmatched(pages, matched, path)
    if planned.more_pages > 0:
        more = f"{planned.more_pages} page{'s' * (planned.more_pages != 1)} more"
        words.append(f"{path.name} has {more} with the visuals in it, since they push words down there.")
    if "background:" in kept.replace("background: loradeck.backgrounds", "") and ask.how == "backgrounds":
        words.append(f"{path.name} sets a background of its own, which hides ours on the pages behind it.")
    if planned.text == text:
        return [f"{path.name} has the visuals already; its pictures beside it are as they are now.", *words]
    if planned.trouble is not None:
        words.insert(0, f"{path.name} was not checked with the visuals in it: {planned.trouble}")
    if not ask.rewrite or planned.trouble is not None:
        return [*words, *_lines(kept, added, path, module)]
    return [_rewritten(path, data, planned.text), *words, _diff(text, planned.text, path.name)]


def _planned(path: Path, before: str, kept: str, added: list[Addition], module: Path, source: str) -> _Planned:
    """The text with its lines, at the largest share of the page that moves nothing to other pages."""
    text = applied(kept, added)
    root, had = _page_count(path, before, {})
    if isinstance(had, str):
        return _Planned(text, added, SHARES[0], f"as it is, Typst cannot set it here ({had}).")
    fewest: tuple[int, int] | None = None
    for share in SHARES:
        _, has = _page_count(path, text, {module.name: _with_share(source, share)}, root)
        if isinstance(has, str):
            return _Planned(text, added, share, f"Typst cannot set it then ({has}), so it stays as it was.")
        if fewest is None or has < fewest[0]:
            fewest = (has, share)
        if has <= had:
            break
    has, share = fewest or (had, SHARES[0])
    return _Planned(text, added, share, None, has - had)


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


def _module_path(folder: Path, written: Written) -> Path:
    """The module beside a person's file: ours, or the first name that nothing has."""
    number = 1
    while True:
        module = folder / f"{MODULE}{f'-{number}' * (number > 1)}.typ"
        if written.knows(module) or not (module.exists() or module.with_suffix("").exists()):
            return module
        number += 1


def _rewritten(path: Path, data: bytes, text: str) -> str:
    """Keep what is there beside it, then write the text in its way of ending lines."""
    number = 1
    while (backup := path.with_stem(f"{path.stem}-backup-{number}")).exists():
        number += 1
    mode = path.stat().st_mode
    text = text.replace("\n", "\r\n") if b"\r\n" in data else text
    write_bytes(backup, data)
    write_bytes(path, (BOM if data.startswith(BOM) else b"") + text.encode())
    with told(path):
        path.chmod(mode)
    return f"{path.name} was changed; as it was before it is {backup.name} beside it."


def _lines(text: str, added: Sequence[Addition], path: Path, module: Path) -> list[str]:
    """The lines to add, each with its place; many of them in one sentence."""
    places = [f"{one.place(text)}: {one.line}" for one in added]
    more = [f"... and {len(places) - MOST_LINES} more lines like these."] if len(places) > MOST_LINES else []
    how = (
        f"{path.name} was not changed. {module.name} beside it holds the visuals; add these lines to it, or call again "
        "with into.rewrite true (a backup is kept):"
    )
    return [how, *places[:MOST_LINES], *more]


def _unmatched(pages: Sequence[Page], matched: Mapping[int, object], path: Path) -> list[str]:
    names = [page.slide.name for number, page in enumerate(pages) if number not in matched]
    if not names:
        return []
    return [f"No slide title in {path.name} matches {', '.join(names)}; give such a slide that title as its heading."]


def _diff(before: str, after: str, name: str) -> str:
    lines = list(unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="", n=1))
    cut = [f"... and {len(lines) - MOST_DIFF} more lines"] if len(lines) > MOST_DIFF else []
    return "\n".join([*lines[:MOST_DIFF], *cut])
