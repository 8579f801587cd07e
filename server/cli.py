"""The `loradeck` command. Everything but the parser is imported by the command that needs it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loradeck import LoradeckError, __version__

if TYPE_CHECKING:
    from pydantic import BaseModel

    from loradeck.tools.spec import Pictures, ToolSpec

OK, REFUSED, MISUSED = 0, 1, 2
EXIT_CODES = (
    "Exit codes: 0 it was done; 1 it was refused, or the answer is bad news (a verdict of fail, a training that did "
    "not start, captions that were all refused, a run that failed or was lost); 2 the call itself is wrong."
)
RECOVER_AFTER_SECONDS = 2.0
"""Long enough for a client to have its list of tools first."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 refused or failed, 2 misused."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except LoradeckError as error:
        from loradeck.tools.errors import BadArgument

        _say(str(error))
        return MISUSED if isinstance(error, BadArgument) else REFUSED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="loradeck", description="Teach a Flux model your look from chat, and get the deck it was for."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    serve = _command(commands, "serve", _serve, "run the MCP server (stdio, or HTTP on this machine)")
    serve.add_argument("--http", metavar="HOST:PORT", help="serve http://HOST:PORT/mcp instead of stdio")

    call = _command(commands, "call", _call, "run one tool and print its answer as JSON")
    call.add_argument("tool", help="a tool's name, as in check_status")
    call.add_argument("arguments", nargs="?", default="{}", help="a JSON object; - reads it from stdin (default {})")
    call.add_argument("--out", type=Path, default=Path("loradeck-pictures"), help="folder for view_images' pictures")
    call.epilog = EXIT_CODES

    _command(commands, "worker", _worker, "run what waits in the queue, until interrupted").add_argument(
        "--once", action="store_true", help="stop when nothing is waiting or running"
    )
    _command(
        commands, "webhooks", _webhooks, "listen on this machine for hosts that call back (see docs/webhooks.md)"
    ).add_argument("--port", type=int, default=8766, help="where the tunnel ends (default 8766)")
    _key_command(commands)
    _demo_command(commands)
    _command(
        commands, "doctor", _doctor, "tell what is installed, which engines are ready, and what is missing"
    ).add_argument("--json", action="store_true", help="print JSON")
    _install_command(commands)
    _command(commands, "version", _version, "print the version")
    return parser


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    parser.set_defaults(command=run)
    return parser


def _key_command(commands: Any) -> None:
    key = _command(commands, "key", _key, "keep the key of a hosted service in the system's keyring")
    key.add_argument("action", choices=("set", "show", "delete"), help="set reads the key from a prompt or from stdin")
    key.add_argument("name", choices=("replicate", "fal", "anthropic"), help="whose key; show never prints it")


def _demo_command(commands: Any) -> None:
    demo = _command(commands, "demo", _demo, "train on the sample icons and render a deck, here and now")
    demo.add_argument("--output", type=Path, default=Path("demo-output"), help="folder for all that the demo makes")
    demo.add_argument("--steps", type=int, default=None, help="training steps (default: the recipe of the base)")


def _install_command(commands: Any) -> None:
    install = _command(commands, "install", _install, "connect loradeck to a client, after showing the change")
    install.add_argument("client", help="claude-desktop, claude-code, vscode or cursor")
    install.add_argument("--yes", action="store_true", help="do not ask")
    install.add_argument("--dry-run", action="store_true", help="show the change and write nothing")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# --------------------------------------------------------------------------- serve


def _serve(options: argparse.Namespace) -> int:
    """Serve MCP. On stdio nothing but the protocol reaches stdout."""
    import gc

    from loradeck.server import http, settings

    where = None if options.http is None else http.address(options.http)
    # Imports make a great many objects that live as long as the process: searching them for garbage again and again
    # would cost a tenth of the start.
    gc.disable()
    chosen = settings.load()
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=chosen.log_level, stream=sys.stderr, format=form)
    from loradeck.server import app
    from loradeck.server.launch import launch
    from loradeck.server.telling import hush

    hush()
    server = app.build(chosen.home, launch(chosen.home))
    gc.freeze()
    gc.enable()
    _recover_soon(chosen.home)
    if where is not None:
        http.serve(server, *where, chosen.log_level)
        return OK
    # What a library prints goes out at once, to stderr while serving, and not onto the wire at exit.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    server.run("stdio")
    return OK


def _recover_soon(home: Path) -> None:
    """Beside the serving, find what an earlier server left behind: runs without a worker, runs that wait for one."""
    import threading

    def recover() -> None:
        from loradeck.server.launch import launch
        from loradeck.state import runs
        from loradeck.state.store import Store

        try:
            store = Store(home)
            runs.recover(store, launch(home))
            store.close()
        except LoradeckError as error:
            logging.getLogger(__name__).warning("Recovery was put off: %s", error)

    timer = threading.Timer(RECOVER_AFTER_SECONDS, recover)
    timer.daemon = True
    timer.start()


# --------------------------------------------------------------------------- call


def _call(options: argparse.Namespace) -> int:
    """Run one tool in this process, with the models that the server uses."""
    from loradeck.server import settings
    from loradeck.server.launch import launch
    from loradeck.server.opening import Opening
    from loradeck.server.telling import seldom
    from loradeck.tools import boundary
    from loradeck.tools.spec import Pictures

    logging.basicConfig(level="ERROR", stream=sys.stderr)
    spec = _spec(options.tool)
    home = settings.load().home
    opening = Opening(home, launch(home))
    answer = boundary.perform(spec, _json_object(options.arguments), lambda: opening.workbench(seldom(_tell)))
    if isinstance(answer, Pictures):
        _print_json(_saved(answer, options.out))
        return OK
    _print_json(answer.model_dump(mode="json", exclude_none=True))
    return REFUSED if _bad_news(answer) else OK


def _spec(name: str) -> ToolSpec:
    import difflib

    from loradeck.tools import catalogue
    from loradeck.tools.errors import BadArgument

    if name not in catalogue.TOOLS:
        near = difflib.get_close_matches(name, catalogue.TOOLS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(catalogue.TOOLS)}."
        raise BadArgument(f"There is no tool {name!r}; {hint}")
    return catalogue.load(name)


def _json_object(text: str) -> dict[str, Any]:
    from loradeck.tools.errors import BadArgument

    try:
        raw = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise BadArgument(
            f'The arguments are not JSON ({error}); pass one object, as in \'{{"run_id": "..."}}\'.'
        ) from error
    if not isinstance(raw, dict):
        raise BadArgument('The arguments must be one JSON object, as in \'{"run_id": "..."}\'.')
    return raw


def _tell(done: float, total: float | None, message: str) -> None:
    _say(f"{done:g}{f'/{total:g}' if total else ''} {message}".rstrip())


def _saved(pictures: Pictures, folder: Path) -> dict[str, Any]:
    """Write the pictures into a folder; returns what to print."""
    from loradeck.state.files import write_bytes

    files = []
    for number, jpeg in enumerate(pictures.jpegs, start=1):
        path = folder.absolute() / f"picture-{number}.jpg"
        write_bytes(path, jpeg)
        files.append(str(path))
    return {"text": pictures.text, "files": files}


def _bad_news(answer: BaseModel) -> bool:
    """What is an answer to an assistant and must stop a script, in which the next command needs this one's success."""
    from loradeck.tools import contracts

    match answer:
        case contracts.ValidateResult():
            return answer.verdict == contracts.Verdict.FAIL
        case contracts.WriteCaptionsResult(accepted=0, state=None):
            return bool(answer.refused or answer.unknown)
        case contracts.StartTrainingResult(run_id=None):
            return answer.quote_id is None
        case contracts.RunResult():
            return answer.state in {contracts.RunState.FAILED, contracts.RunState.LOST}
        case _:
            return False


def _print_json(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2), flush=True)


# --------------------------------------------------------------------------- the others


def _worker(options: argparse.Namespace) -> int:
    from loradeck.server import settings
    from loradeck.server.worker import run_queue

    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(message)s")
    _say("Running the queue; Ctrl-C stops looking for more, and leaves what runs alone.")
    run_queue(settings.load().home, once=options.once)
    return OK


def _webhooks(options: argparse.Namespace) -> int:
    from loradeck.engines.hosted import hooks
    from loradeck.server import settings, telling, webhooks

    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(message)s")
    telling.hush()
    if not hooks.expected():
        _say(
            f"{hooks.URL_VARIABLE} is not set, so that no host is asked to call back: set it to the https address of "
            "your tunnel, here and for the server."
        )
    _say(f"Listening at http://127.0.0.1:{options.port} for hosts that call back; Ctrl-C stops it, and loses nothing.")
    webhooks.serve(settings.load().home, options.port)
    return OK


def _key(options: argparse.Namespace) -> int:
    """Keep, find or remove a key; what a terminal or a log could keep never holds it."""
    from loradeck.server import keyring

    if options.action == "set":
        print(keyring.keep(options.name, _secret(options.name)))
    elif options.action == "delete":
        print(keyring.forget(options.name))
    else:
        print(keyring.tell(options.name))
    return OK


def _secret(name: str) -> str:
    """A key from a prompt without echo, or the first line of stdin where that is no terminal."""
    import getpass

    return getpass.getpass(f"Key of {name}: ") if sys.stdin.isatty() else sys.stdin.readline()


def _demo(options: argparse.Namespace) -> int:
    from loradeck.server import demo

    return demo.main(options.output, options.steps)


def _doctor(options: argparse.Namespace) -> int:
    from loradeck.server import doctor, settings

    report = doctor.examine(settings.load().home)
    print(json.dumps(doctor.as_json(report), indent=2) if options.json else doctor.as_text(report))
    return OK if report.usable else REFUSED


def _install(options: argparse.Namespace) -> int:
    from loradeck.server import install

    change = install.plan(install.client(options.client))
    if change.nothing:
        print(f"{change.client.title} is connected already ({change.path}); nothing to do.")
        return OK
    print(change.diff(), end="")
    if options.dry_run:
        return OK
    if not options.yes and not _agreed(f"Write this to {change.path}? [y/N] "):
        print("Nothing was written.")
        return REFUSED
    backup = change.write()
    print(
        f"Written{f'; the file as it was: {backup}' if backup else ''}. Restart {change.client.title} to see loradeck."
    )
    return OK


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _version(options: argparse.Namespace) -> int:  # noqa: ARG001  one signature for all commands
    print(__version__)
    return OK
