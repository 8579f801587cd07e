"""placeholder until merge"""

from loradeck.tools.render_deck_visuals.written import Written


def write_parity(placed: object, written: Written) -> str:
    written.save(written.folder / "parity.json", b"{}")
    return "parity"
