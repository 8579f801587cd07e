"""Streamable HTTP on this machine, for clients that speak to a URL: http://127.0.0.1:PORT/mcp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loradeck.tools.errors import BadArgument

if TYPE_CHECKING:
    from mcp.server import MCPServer

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def address(text: str) -> tuple[str, int]:
    """HOST:PORT, :PORT or PORT as (host, port). Raises BadArgument for anything that is not this machine."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise BadArgument(f"--http wants HOST:PORT, as in 127.0.0.1:8765, and got {text!r}.")
    if host not in LOOPBACK:
        raise BadArgument(
            f"loradeck serves this machine alone ({', '.join(LOOPBACK)}), not {host!r}; "
            "to reach it from elsewhere, put a tunnel with a login of its own in front."
        )
    return host, int(port)


def serve(server: MCPServer[Any], host: str, port: int, log_level: str) -> None:
    """Serve until interrupted. The SDK refuses foreign Host and Origin headers (DNS rebinding) on loopback hosts."""
    import uvicorn

    app = server.streamable_http_app(host=host)
    uvicorn.run(app, host=host, port=port, log_level=log_level.lower(), access_log=False, timeout_graceful_shutdown=3)
