"""What Office files take of text and colours: no control characters, and a theme of the deck's own."""

from __future__ import annotations

import re
from xml.sax.saxutils import quoteattr

BEYOND_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold (https://www.w3.org/TR/xml/#charsets)."""


def as_xml_text(text: str) -> str:
    """The text less what no XML file can hold; markup in it stays what it is, text."""
    return BEYOND_XML.sub("", text)


def theme_with(xml: bytes, ground: str, ink: str, accent: str, heads: str, body: str) -> bytes:
    """A theme part with these colours (#rrggbb) as background, text and first accent, and these font families."""
    text = xml.decode("utf-8")
    for name, colour in (("lt1", ground), ("dk1", ink), ("lt2", ground), ("dk2", ink), ("accent1", accent)):
        told = f'<a:{name}><a:srgbClr val="{colour[1:].upper()}"/></a:{name}>'
        text = re.sub(rf"<a:{name}>.*?</a:{name}>", told, text, count=1, flags=re.DOTALL)
    for name, family in (("majorFont", heads), ("minorFont", body)):
        told = f"<a:{name}><a:latin typeface={quoteattr(as_xml_text(family))}/>".replace("\\", r"\\")
        text = re.sub(rf"<a:{name}>\s*<a:latin [^>]*/>", told, text, count=1)
    return text.encode("utf-8")
