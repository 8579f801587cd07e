"""Addresses that a caller gives: https alone, public hosts alone, and whom we are connected to in the end."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx


NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Where networks without IPv4 reach its addresses (RFC 6052)."""


class NotAllowed(Exception):
    """Why an address is not gone to, in one sentence. Never leaves the tools."""


def is_public(address: str) -> bool:
    """True for an address on the open internet: not private, loopback, link-local, reserved or multicast.

    One of IPv6 that stands for one of IPv4 leads where that one does.
    """
    parsed = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not parsed.is_multicast
    if inner := _inner(parsed):
        return is_public(str(inner))
    local = parsed.is_site_local or parsed.is_reserved or parsed.is_multicast
    return parsed.is_global and not local


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that one of IPv6 is only another way to: mapped, by 6to4, or behind a NAT64's prefix."""
    translated = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else None
    return address.ipv4_mapped or address.sixtofour or translated


@dataclass(frozen=True)
class Guard:
    """Judges addresses of a `thing`. Tests allow a loopback host and plain http by other `schemes` and `allowed`."""

    thing: str
    schemes: frozenset[str] = frozenset({"https"})
    allowed: Callable[[str], bool] = is_public

    def judge(self, url: str) -> None:
        """Scheme, and that every address of the host is allowed. Raises NotAllowed."""
        parts = urlsplit(url)
        if parts.scheme not in self.schemes or not parts.hostname:
            raise NotAllowed(f"Only https addresses are fetched; download the {self.thing} and give its path.")
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, ValueError) as error:
            raise NotAllowed("The host is not known or not reachable; check the address.") from error
        if not all(self.allowed(str(entry[4][0])) for entry in found):
            raise NotAllowed(self._private())

    def judge_peer(self, response: httpx.Response) -> None:
        """Judge whom we are really connected to, since a name may have changed its address since. Raises NotAllowed."""
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if peer is not None and not self.allowed(str(peer[0])):
            raise NotAllowed(self._private())

    def _private(self) -> str:
        return f"The address leads into a private network and is not fetched; give the {self.thing}'s path."
