"""How much may be spent, from the environment: LORADECK_MAX_RUN_USD, LORADECK_MAX_DAY_USD, LORADECK_MAX_TOTAL_USD."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from loradeck.state.spend import Limits
from loradeck.tools.errors import Refused

DAY_USD = 50.0
"""Where nobody said otherwise: a mistake may cost a dinner, not a month's rent."""
UNLIMITED = "none"


def limits(environ: Mapping[str, str] = os.environ) -> Limits:
    """The limits in force. Raises Refused for one that is no amount: a typo must not lift a limit."""
    return Limits(
        run_usd=_amount(environ, "LORADECK_MAX_RUN_USD", None),
        day_usd=_amount(environ, "LORADECK_MAX_DAY_USD", DAY_USD),
        workspace_usd=_amount(environ, "LORADECK_MAX_TOTAL_USD", None),
    )


def _amount(environ: Mapping[str, str], name: str, default: float | None) -> float | None:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if text.lower() == UNLIMITED:
        return None
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise Refused(
            f'{name} is {text!r}, which is no amount of US dollars; set it to a number such as 20, or "none".'
        )
    return amount
