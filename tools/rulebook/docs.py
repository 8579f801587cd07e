"""Writes the page of rules from the manifest: `python -m loradeck.tools.rulebook.docs docs/rules.md`."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

from loradeck.tools.contracts import Profile
from loradeck.tools.rulebook.house import EXAMPLE
from loradeck.tools.rulebook.manifest import EVERY
from loradeck.tools.rulebook.rule import Scope, Statement
from loradeck.tools.rulebook.tables import NEVER_WAIVED, PROFILES, RULEBOOK_VERSION, TARGETS, Thresholds

HEAD = f"""# The rules in force

Rulebook version {RULEBOOK_VERSION}. Generated from `tools/rulebook/manifest.py` by
`python -m loradeck.tools.rulebook.docs docs/rules.md`; the numbers live in `tools/rulebook/tables.py`.

An **error** blocks training, a **warning** is told and trains, an **info** is told and never counts; a **property** is
kept by the tool itself, so that nothing is left to tell. `start_training` judges again what `validate_coverage` tells.

Every rule can be waived in `start_training(waive=[{{rule_id, reason}}])` with a reason that stays on the run, except
{", ".join(sorted(NEVER_WAIVED))}. A waiver sets aside what
`validate_coverage` and `start_training` tell; what the other tools tell is told all the same.
"""


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([HEAD, _profiles(), _targets(), *(_rules(scope) for scope in Scope), _house()])


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _profiles() -> str:
    rows = [
        [
            f"`{profile}`",
            row.teaches,
            row.never_captioned,
            row.always_captioned,
            f"{row.block_below} / {row.warn_below} / {row.best[0]}-{row.best[1]} / {row.warn_above}",
        ]
        for profile, row in PROFILES.items()
    ]
    columns = ["profile", "teaches", "never captioned", "always captioned", "images: block < / warn < / best / warn >"]
    return f"## Profiles\n\n{_table(columns, rows)}"


def _targets() -> str:
    rows = [
        [f"`{target}`", f"{row.words[0]}-{row.words[1]}", row.encoder, f"{row.steps[0]}-{row.steps[1]}"]
        for target, row in TARGETS.items()
    ]
    return f"## Target models\n\n{_table(['target', 'caption words', 'text encoder', 'steps'], rows)}"


def _rules(scope: Scope) -> str:
    rows = [[rule.id, rule.says, _severity(rule), rule.told_by, rule.source] for rule in EVERY if rule.scope == scope]
    columns = ["id", "rule", "severity", "told by", "where it comes from"]
    return f"## {scope.capitalize()}\n\n{_table(columns, rows)}"


HOUSE = f"""## Other numbers for one dataset

A `loradeck.toml` in the dataset's folder (or beside the pictures, from where `curate_dataset` takes it along) says
where a team judges otherwise; findings then say so, and the fingerprint changes with it:

```toml
{EXAMPLE}```

These are the thresholds with the rulebook's own values:
"""


def _house() -> str:
    rows = [
        [f"`{item.name}`", str(item.metadata["rule"]), f"`{json.dumps(getattr(Thresholds(), item.name))}`"]
        for item in fields(Thresholds)
    ]
    return f"{HOUSE}\n{_table(['threshold', 'rule', 'value'], rows)}"


def _severity(rule: Statement) -> str:
    """The usual severity, with the profiles it holds for where that is not all of them."""
    if not rule.severities:
        return "property"
    if set(rule.severities) == set(Profile) and len(set(rule.severities.values())) == 1:
        return next(iter(rule.severities.values()))
    by_severity: dict[str, list[str]] = {}
    for profile in Profile:
        if profile in rule.severities:
            by_severity.setdefault(rule.severities[profile], []).append(profile)
    return "; ".join(f"{severity}: {', '.join(names)}" for severity, names in by_severity.items())


def main() -> None:
    """Write the page to the path given."""
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
