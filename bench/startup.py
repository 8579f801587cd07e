"""How much longer loradeck takes to its first tools/list than a bare SDK server with one trivial tool.

Both are spawned over stdio by the official client, one after the other in turns, so that a busy machine slows both.
Prints medians and their ratio, and exits with 1 above the goal.

    python bench/startup.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters

GOAL = 1.25
BARE = """
from mcp.server import MCPServer

server = MCPServer("bare")


@server.tool()
def echo(text: str) -> str:
    "Say it again."
    return text


server.run("stdio")
"""


async def first_list(server: StdioServerParameters) -> float:
    """Seconds from before the spawn to the first answer of tools/list."""
    start = time.perf_counter()
    async with Client(server) as client:
        await client.list_tools()
        return time.perf_counter() - start


async def measure(rounds: int, home: Path) -> tuple[list[float], list[float]]:
    """(bare, loradeck) seconds, in turns; the first of each warms the disk's cache and is dropped."""
    bare = home / "bare.py"
    bare.write_text(BARE, encoding="utf-8")
    servers = (
        StdioServerParameters(command=sys.executable, args=[str(bare)]),
        StdioServerParameters(
            command=sys.executable, args=["-m", "loradeck", "serve"], env={"LORADECK_HOME": str(home / "work")}
        ),
    )
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for server, taken in zip(servers, times, strict=True):
            taken.append(await first_list(server))
    return times[0][1:], times[1][1:]


def main(rounds: int) -> int:
    """Measure, print, judge."""
    with tempfile.TemporaryDirectory() as folder:
        bare, ours = anyio.run(measure, rounds, Path(folder))
    # The median of the pairwise ratios: a neighbour's burst of work falls on a pair, not on one side.
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    print(f"bare      {statistics.median(bare):.3f} s")
    print(f"loradeck  {statistics.median(ours):.3f} s")
    print(f"ratio     {ratio:.2f} (goal {GOAL})")
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9))
