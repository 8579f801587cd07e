"""YAML or JSON text read together with the place of every value, so that an error can name its line.

YAML is read by the core schema of version 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), as editors do: `no`,
`on`, `1:30` and `2026-05-13` are text, and only true, false, null and plain numbers are something else. Nothing but
text, numbers, lists and mappings can come out of it, no key can be given twice, and no alias can blow it up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from loradeck.tools.errors import BadArgument

MOST_WEIGHT = 40_000
LETTERS_A_WEIGHT = 50
"""With aliases written out a value weighs 1, and 1 more for every 50 letters. A deck of 60 slides with 16 panels each
has 9,500 values, and the largest file a million letters.
"""
STR = "tag:yaml.org,2002:str"
TABS = "found character '\\t' that cannot start any token"
NO_YAML = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""Signs that JSON may hold and PyYAML refuses or counts as lines."""
Loc = tuple[int | str, ...]


class Core(yaml.SafeLoader):
    """Resolves plain words by YAML 1.2's core schema; used to compose nodes, never to construct."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name, replaced as a whole


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


def _number(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


CORE: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "bool": (r"true|false", "tf", lambda text: text == "true"),
    "null": (r"~|null|", "~n", lambda _: None),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _integer),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        "-+.0123456789",
        _number,
    ),
}
"""What is no text: its pattern (in small letters), how it may begin, and what it becomes."""
for _name, (_pattern, _first, _) in CORE.items():
    _begins = [*_first, *_first.upper(), *([""] if _name == "null" else [])]
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$", re.IGNORECASE), _begins)


class Marked:
    """Plain data, and where in its text each value of it stands."""

    def __init__(self, data: Any, root: yaml.Node) -> None:
        self.data = data
        self._root = root

    def place(self, loc: Loc, *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of a value, or of its key; of the nearest value around it where there is none."""
        node, mark = self._root, self._root.start_mark
        for number, part in enumerate(loc, 1):
            named, found = _inside(node, part)
            if found is None:
                break
            node = found
            mark = named.start_mark if key and named is not None and number == len(loc) else node.start_mark
        return mark.line + 1, mark.column + 1

    def written(self, loc: Loc) -> str | None:
        """A plain value as its author wrote it (01, not 1); None for lists, mappings and what is not there."""
        node: yaml.Node | None = self._root
        for part in loc:
            node = None if node is None else _inside(node, part)[1]
        return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def from_yaml(text: str, name: str) -> Marked:
    """YAML text with its places. Raises BadArgument that names the line of what is wrong."""
    root = _composed(text, name)
    if root is None:
        raise BadArgument(f"{name} is empty; a deck has a title and slides.")
    _limited(root, name)
    return Marked(_plain(root, name), root)


def from_json(text: str, name: str) -> Marked:
    """JSON text with its places. Raises BadArgument that names the line and column of what is wrong."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadArgument(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise BadArgument(_too_deep(name)) from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise BadArgument(f"{name} holds a number that is too long to be one; check its seeds and sizes.") from None
    # JSON is YAML but for a few signs, and one sign for another keeps every line and column.
    root = _composed(NO_YAML.sub(" ", text), name)
    if root is None:
        raise BadArgument(f"{name} is empty; a deck has a title and slides.")
    _limited(root, name)
    _plain(root, name)  # for keys that are given twice, of which JSON keeps the last
    return Marked(data, root)


def _composed(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=Core)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise BadArgument(f"{name}{where}: {_in_words(error.problem or 'this is no YAML')}.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadArgument(f"{name}, line {line}: a sign that text cannot hold; remove it.") from None
    except RecursionError:
        raise BadArgument(_too_deep(name)) from None


def _in_words(problem: str) -> str:
    if problem == TABS:
        return "a tab; YAML is indented with spaces"
    if problem == "mapping values are not allowed here":
        return "a colon within a line of words, or a wrong indent; put the words in quotes"
    if problem == "but found another document":
        return "a second document begins; a file holds one deck"
    return problem


def _too_deep(name: str) -> str:
    return f"{name} is nested deeper than a deck can be; check its brackets."


def _limited(root: yaml.Node, name: str) -> None:
    """Refuse what refers to itself, and what aliases make larger than any deck, without writing it out."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise BadArgument(f"{name}, {_at(node)}: an alias refers to what it stands in; write the value out.")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            own = 1 + (len(node.value) // LETTERS_A_WEIGHT if isinstance(node, yaml.ScalarNode) else 0)
            sizes[id(node)] = own + sum(size(child) for child in _children(node))
            open_nodes.discard(id(node))
        return sizes[id(node)]

    if size(root) > MOST_WEIGHT:
        raise BadArgument(f"{name} is larger, with its aliases written out, than a deck of 60 slides can be.")


def _plain(node: yaml.Node, name: str) -> Any:
    """The value of a node in Python's own types. Raises BadArgument for tags and for keys that come twice."""
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, name)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_plain(child, name) for child in node.value]
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise BadArgument(_tagged(node, name))
    data: dict[str, Any] = {}
    lines: dict[str, str] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise BadArgument(f"{name}, {_at(key)}: the name of a field must be a word.")
        if key.value == "<<":
            raise BadArgument(f"{name}, {_at(key)}: fields cannot be merged with <<; write them out.")
        if key.value in data:
            raise BadArgument(f"{name}, {_at(key)}: {key.value[:41]!r} was given before, on {lines[key.value]}.")
        data[key.value], lines[key.value] = _plain(value, name), _at(key).split(",")[0]
    return data


def _scalar(node: yaml.ScalarNode, name: str) -> Any:
    if node.tag == STR:
        return node.value
    try:
        _, _, make = CORE[node.tag.removeprefix("tag:yaml.org,2002:")]
        return make(node.value.lower())
    except KeyError:
        raise BadArgument(_tagged(node, name)) from None
    except ValueError:
        raise BadArgument(f"{name}, {_at(node)}: {node.value[:41]!r} is no number that can be read.") from None


def _tagged(node: yaml.Node, name: str) -> str:
    tag = ascii(str(node.tag).replace("tag:yaml.org,2002:", "!!"))[1:61].rstrip("'")
    return f"{name}, {_at(node)}: the tag {tag} is not taken; a deck is words, numbers, lists and fields."


def _at(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _inside(node: yaml.Node, part: int | str) -> tuple[yaml.Node | None, yaml.Node | None]:
    """The key (of a mapping) and the value that a part of a place names; None where there is none."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), (None, None))
    return None, None
