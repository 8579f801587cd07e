"""What loradeck needs installed, and the command that installs it.

loradeck is on no package index, where a stranger could take its name: no command here asks pip for it by name.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

NAME = re.compile(r"[\w.-]+")
EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")


@dataclass(frozen=True)
class Requirement:
    """A package that is wanted: its name, the name with its version as pip reads it, and the extra that wants it."""

    name: str
    text: str
    extra: str | None


def requirements() -> list[Requirement]:
    """Every package that the installed loradeck names, in its order."""
    found = []
    for line in metadata.distribution("loradeck").requires or []:
        text, _, marker = line.partition(";")
        name, extra = NAME.match(text), EXTRA.search(marker)
        if name is not None:
            found.append(Requirement(name[0], text.strip(), extra[1] if extra else None))
    return found


def how_to_install(names: Sequence[str]) -> str:
    """The command that installs these packages for the Python that runs now, to be read after "install with".

    Where loradeck came from a checkout that is still there, it is installed from there again, under the versions
    that its tests ran with; elsewhere the packages themselves are named.
    """
    wanted = [requirement for requirement in requirements() if requirement.name in names]
    pip = f"{_quoted(sys.executable) if ' ' in sys.executable else sys.executable} -m pip install"
    options = _from_checkout()
    if options is None:
        return f"`{pip} {' '.join(_quoted(requirement.text) for requirement in wanted)}`"
    extras = ",".join(sorted({requirement.extra for requirement in wanted if requirement.extra}))
    what = _quoted(f".[{extras}]" if extras else ".")
    return f"`{pip} {options} {what}` in loradeck's checkout"


def _from_checkout() -> str | None:
    """The options of pip for installing from the checkout as before, or None where there is no checkout."""
    direct = json.loads(metadata.distribution("loradeck").read_text("direct_url.json") or "{}")
    if "dir_info" not in direct:
        return None
    if not (Path(url2pathname(urlparse(direct["url"]).path)) / "constraints.txt").is_file():
        return None
    return "-c constraints.txt -e" if direct["dir_info"].get("editable") else "-c constraints.txt"


def _quoted(text: str) -> str:
    """In double quotes, which every shell reads: bare, `>=` would write a file."""
    return f'"{text}"'
