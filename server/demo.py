"""The main job, told as a person would follow it: `loradeck demo`.

A scripted client starts `loradeck serve` over stdio, as Claude Desktop would, and calls the tools one after the
other on the Fluent icons. Every call may be repeated: what an interrupted demo left is found again by asking the
server, never by a file of our own, so that the demo proves what a new chat can do.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loradeck import LoradeckError

if TYPE_CHECKING:
    from mcp import Client

DATA = Path(__file__).parent / "demo_data"
NAME = "fluent-icons"
TRIGGER = "fluentlook"
SHOWN_CHARACTERS = 220
TOOL_TIMEOUT_SECONDS = 120.0
ATTEMPTS = 3


class DemoFailed(LoradeckError):
    """A call of the demo was answered with an error; the message is the server's."""


@dataclass
class Teller:
    """Prints the conversation: calls in colour on a terminal, plain lines elsewhere."""

    started: float = field(default_factory=time.monotonic)
    colours: bool = field(default_factory=lambda: sys.stdout.isatty())

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def title(self, text: str) -> None:
        """A heading between two steps, with the time since the start."""
        elapsed = time.monotonic() - self.started
        print(f"\n{self._paint('1', text)}  {self._paint('2', f'[{elapsed:.0f} s]')}", flush=True)

    def call(self, tool: str, arguments: dict[str, Any]) -> None:
        """The call as it goes to the server, shortened."""
        text = json.dumps(arguments, ensure_ascii=False)
        shown = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " ...}"
        print(f"  {self._paint('36', '> ' + tool)} {shown}", flush=True)

    def answer(self, answer: dict[str, Any]) -> None:
        """The two sentences and the next step that the server answered."""
        print(f"  {self._paint('32', '<')} {answer['summary']}")
        print(f"    {self._paint('2', 'next: ' + answer['next_step'])}", flush=True)

    def line(self, text: str) -> None:
        """One more line."""
        print(f"    {text}", flush=True)

    def progress(self, answer: dict[str, Any]) -> None:
        """Where a run stands."""
        step, steps = answer.get("step") or 0, answer.get("steps") or 0
        part = step / steps if steps else 0.0
        bar = "#" * round(part * 24)
        numbers = [f"{step}/{steps}"]
        if answer.get("held_out_loss") is not None:
            numbers.append(f"held-out loss {answer['held_out_loss']:.4f}")
        if answer.get("eta_seconds") is not None:
            numbers.append(f"about {answer['eta_seconds']:.0f} s left")
        print(f"    [{bar:<24}] {answer['state']}  {', '.join(numbers)}  {answer.get('message') or ''}", flush=True)


@dataclass
class Conversation:
    """A client, and what it says and hears."""

    client: Client
    teller: Teller

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured answer, both printed. Raises DemoFailed when the server says no."""
        self.teller.call(tool, arguments)
        answer = await self.ask(tool, **arguments)
        self.teller.answer(answer)
        return answer

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The same, with nothing printed."""
        result = await self.client.call_tool(tool, arguments, read_timeout_seconds=TOOL_TIMEOUT_SECONDS)
        if result.is_error:
            raise DemoFailed(" ".join(getattr(block, "text", "") for block in result.content))
        return result.structured_content or {}

    async def look(self, **arguments: Any) -> str:
        """Look at pictures; returns the line of text that came with them."""
        self.teller.call("view_images", arguments)
        result = await self.client.call_tool("view_images", arguments, read_timeout_seconds=TOOL_TIMEOUT_SECONDS)
        text = " ".join(block.text for block in result.content if block.type == "text")
        if result.is_error:
            raise DemoFailed(text)
        pictures = sum(block.type == "image" for block in result.content)
        shown = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " ..."
        self.teller.line(f"< {pictures} picture(s). {shown}")
        return text

    async def carry_out(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that goes on as a run, follow it to its end, and return the result with the files that it left.

        The same call goes on with a run that was lost, as one of a demo that was killed a moment ago is. Raises
        DemoFailed when nothing was started, or the run did not succeed.
        """
        answer = await self.finished(tool, **arguments)
        if answer.get("run_id") is None:
            raise DemoFailed(answer["summary"])
        return answer

    async def finished(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """`carry_out` for a tool that may as well answer at once. Raises DemoFailed when its run did not succeed."""
        for _ in range(ATTEMPTS):
            answer = await self.call(tool, **arguments)
            if answer.get("run_id") is None:
                return answer
            done = await self.follow(str(answer["run_id"]))
            if done["state"] == "succeeded":
                return {**done["result"], "artefacts": done["artefacts"]}
        raise DemoFailed(f"The run was lost {ATTEMPTS} times; `loradeck doctor` may tell why.")

    async def follow(self, run_id: str) -> dict[str, Any]:
        """Poll a run until it succeeded or is lost. Raises DemoFailed when it failed or was stopped.

        The call is printed once, and of its answers what is new.
        """
        polled = {"run_id": run_id, "wait_seconds": 5}
        self.teller.call("check_status", polled)
        last: tuple[Any, ...] = ()
        while True:
            answer = await self.ask("check_status", **polled)
            told = (answer["state"], answer.get("step"))
            if told != last:
                self.teller.progress(answer)
                last = told
            if answer["state"] in {"succeeded", "lost"}:
                self.teller.answer(answer)
                return answer
            if answer["state"] in {"failed", "cancelled"}:
                raise DemoFailed(f"{answer['summary']} {answer['next_step']}")


# --------------------------------------------------------------------------- the steps


async def curate(talk: Conversation) -> str:
    """Put the pictures in order; returns the dataset's id."""
    talk.teller.title("1. Curate the pictures")
    known = {glance["name"]: glance["id"] for glance in await overview(talk) if glance["kind"] == "dataset"}
    which = {"dataset_id": known[NAME]} if NAME in known else {"name": NAME}
    answer = await talk.finished(
        "curate_dataset",
        source=str(DATA / "icons"),
        trigger=TRIGGER,
        profile="icons",
        target_model="preview",
        subject="Fluent 2 colour icons",
        rights={"source": "@fluentui/svg-icons", "licence": "MIT"},
        **which,
    )
    for rejected in answer["rejected"][:5]:
        talk.teller.line(f"set aside: {rejected['file']} ({rejected['rule_id']}) {rejected['why']}")
    talk.teller.line(f"square copies, their .txt captions and metadata.jsonl: {answer['folder']}")
    return str(answer["dataset_id"])


async def caption(talk: Conversation, dataset_id: str) -> None:
    """Write, sheet by sheet, the captions that an assistant wrote after looking."""
    talk.teller.title("2. Look at the sheets, then caption what varies")
    rows = {row["file_name"]: row for row in json.loads((DATA / "captions.json").read_text(encoding="utf-8"))}
    images = await kept_files(talk, dataset_id)
    page, pages = 1, 1
    while page <= pages:
        text = await talk.look(of=dataset_id, what="sheet", page=page)
        pages = int((re.search(r"page \d+ of (\d+)", text) or [text, "1"])[1])
        code = re.search(r"\bcode (\w+)", text)
        items = [
            {
                "image_id": image_id,
                "caption": f"{TRIGGER}. {rows[images[image_id]]['caption']}",
                "attributes": {key: rows[images[image_id]][key] for key in ("subject", "colors")},
            }
            for image_id in re.findall(r"\bimg_\w+", text)
            if image_id in images
        ]
        answer = await talk.call(
            "write_captions", dataset_id=dataset_id, images=items, sheet_code=code and code.group(1)
        )
        for refusal in answer["refused"][:3]:
            talk.teller.line(f"refused: {refusal['caption']!r}: {refusal['findings'][0]['why']}")
        page += 1


async def kept_files(talk: Conversation, dataset_id: str) -> dict[str, str]:
    """Image id -> original file name of every kept image, all pages."""
    kept: dict[str, str] = {}
    page, pages = 1, 1
    while page <= pages:
        answer = await talk.call("curate_dataset", dataset_id=dataset_id, page=page)
        pages = answer["pages"]
        kept |= {row["image_id"]: row["file"] for row in answer["images"] if row["status"] == "kept"}
        page += 1
    return kept


async def validate(talk: Conversation, dataset_id: str) -> None:
    """Ask for the verdict."""
    talk.teller.title("3. Validate the coverage")
    answer = await talk.call("validate_coverage", dataset_id=dataset_id)
    for finding in answer["findings"][:6]:
        talk.teller.line(f"{finding['severity']}: {finding['rule_id']} {finding['why']}")
    if answer["verdict"] == "fail":
        raise DemoFailed("The dataset did not pass; nothing was trained.")


async def train(talk: Conversation, dataset_id: str, steps: int | None) -> str:
    """Train; the same call over the same set goes on with what an earlier demo began. Returns the LoRA's id."""
    talk.teller.title("4. Train the LoRA")
    chosen: dict[str, Any] = {} if steps is None else {"steps": steps}
    result = await talk.carry_out("start_training", dataset_id=dataset_id, name=NAME, **chosen)
    show_files(talk.teller, result["artefacts"], ("lora", "loss_chart", "sample_grid"))
    return str(result["lora"]["lora_id"])


GUIDANCE = 3.0
"""These prompts say all of a slide, so that they are given more weight than prompts that leave the look room (1.5)."""


async def render(talk: Conversation, lora_id: str, output: Path) -> dict[str, Any]:
    """Render the deck, or what an interrupted demo left undone."""
    talk.teller.title("5. Render the deck")
    deck = json.loads((DATA / "deck.json").read_text(encoding="utf-8"))
    made = [g["id"] for g in await overview(talk) if g["kind"] == "deck" and g["name"] == deck["title"]]
    which: dict[str, Any] = {"deck_id": made[0]} if made else {"deck": deck}
    result = await talk.carry_out(
        "render_deck_visuals",
        loras=[{"lora_id": lora_id}],
        guidance=GUIDANCE,
        output_dir=str(output / "deck"),
        **which,
    )
    for visual in result["visuals"]:
        talk.teller.line(f"{Path(visual['path']).name:<22} {visual['prompt']}")
    return result


async def overview(talk: Conversation) -> list[dict[str, Any]]:
    """Datasets, runs, LoRAs and decks, newest first, as a new chat would ask."""
    answer = await talk.call("check_status")
    return list(answer["overview"])


def show_files(teller: Teller, artefacts: Sequence[dict[str, Any]], kinds: Sequence[str]) -> None:
    """Name the files of some kinds."""
    for artefact in artefacts:
        if artefact["kind"] in kinds:
            teller.line(f"{artefact['kind']}: {artefact['path']}")


# --------------------------------------------------------------------------- the whole


async def converse(output: Path, steps: int | None) -> None:
    """Run the whole conversation against a server of its own on the workspace in `output`."""
    from mcp import Client, StdioServerParameters

    teller = Teller()
    teller.title("loradeck demo: teach a tiny Flux model the Fluent icon look, and render a deck in it")
    teller.line("Everything runs on this machine, on the embedded preview base: no GPU, no key, no download.")
    server = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "loradeck", "serve"],
        env={**os.environ, "LORADECK_HOME": str(output / "workspace")},
    )
    async with Client(server) as client:
        talk = Conversation(client, teller)
        dataset_id = await curate(talk)
        await caption(talk, dataset_id)
        await validate(talk, dataset_id)
        lora_id = await train(talk, dataset_id, steps)
        deck = await render(talk, lora_id, output)
    teller.title("Done")
    show_files(teller, deck["artefacts"], ("contact_sheet", "typst", "pdf", "pptx"))
    teller.line(f"Copies of the deck's files: {output / 'deck'}")


def main(output: Path, steps: int | None = None) -> int:
    """Run the demo in `output`; run again, it goes on from where it was. Returns the exit code."""
    import anyio

    output = output.expanduser().resolve()
    try:
        anyio.run(converse, output, steps)
    except KeyboardInterrupt:
        print("\nInterrupted. What is running goes on in the background; run the same command to go on from here.")
        return 130
    except BaseExceptionGroup as group:
        print(f"\n{reason(group)}\nRun the same command to go on from here.", file=sys.stderr)
        return 1
    return 0


def reason(group: BaseExceptionGroup[BaseException]) -> str:
    """The first sentence of ours in what the client's task groups raised, else what broke the connection."""
    ours, others = group.split(LoradeckError)
    chosen: BaseException = ours or others or group
    while isinstance(chosen, BaseExceptionGroup):
        chosen = chosen.exceptions[0]
    return str(chosen) if ours else f"The connection to the server broke off ({type(chosen).__name__})."
