"""`loradeck key` and the doctor's lines on keys: where a key is, and never what it is."""

from __future__ import annotations

import io
import json
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from loradeck.engines.hosted import keys
from loradeck.server.cli import main

SECRET = "0d1f2a3b-4c5d-6e7f:9a8b7c6d5e4f3a2b1c0d"


class Ring:
    """What the package keyring does, in memory. `broken` is no backend, `drops` one that keeps nothing."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.broken, self.drops = False, False
        self.errors: Any = ModuleType("keyring.errors")
        self.errors.KeyringError = type("KeyringError", (Exception,), {})
        self.errors.NoKeyringError = type("NoKeyringError", (self.errors.KeyringError,), {})

    def get_password(self, service: str, name: str) -> str | None:
        self._asked()
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, secret: str) -> None:
        self._asked()
        if not self.drops:
            self.kept[service, name] = secret

    def delete_password(self, service: str, name: str) -> None:
        self._asked()
        del self.kept[service, name]

    def _asked(self) -> None:
        if self.broken:
            raise self.errors.NoKeyringError(f"no backend, and {SECRET} is nobody's business")


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    ring, package = Ring(), ModuleType("keyring")
    for name in ("get_password", "set_password", "delete_password"):
        setattr(package, name, getattr(ring, name))
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", ring.errors)
    return ring


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in keys.VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setattr(keys, "_handed_out", {})
    monkeypatch.setenv("LORADECK_HOME", str(tmp_path))


class Terminal(io.StringIO):
    """A person sits there."""

    def isatty(self) -> bool:
        return True


def said(capsys: pytest.CaptureFixture[str], *words: str, stdin: str | Terminal = "", code: int = 0) -> str:
    """What the command says, on both streams; it never says the key."""
    sys.stdin = io.StringIO(stdin) if isinstance(stdin, str) else stdin
    try:
        assert main(["key", *words]) == code
    finally:
        sys.stdin = sys.__stdin__
    told = "".join(capsys.readouterr())
    assert SECRET not in told
    return told


def test_a_key_goes_from_stdin_into_the_keyring_and_is_found_there(ring: Ring, capsys: Any) -> None:
    told = said(capsys, "set", "fal", stdin=f"  {SECRET}\nsomething else\n")
    assert told == "The key of fal is kept in the system's keyring; nothing need be started again.\n"
    assert ring.kept == {("loradeck", "fal"): SECRET}
    found = keys.key("fal")
    assert found is not None
    assert found.reveal() == SECRET
    assert said(capsys, "show", "fal") == "The key of fal is found in the system's keyring.\n"


def test_a_terminal_asks_for_the_key_without_showing_it(
    ring: Ring, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: SECRET if prompt == "Key of replicate: " else "")
    said(capsys, "set", "replicate", stdin=Terminal())
    assert ring.kept == {("loradeck", "replicate"): SECRET}


@pytest.mark.parametrize("typed", ["", "\n", "two words\n", "schlüssel\n", "with\ttab\n"])
def test_what_is_no_key_is_not_kept(ring: Ring, capsys: Any, typed: str) -> None:
    assert "That is no key of anthropic: copy the whole of it" in said(capsys, "set", "anthropic", stdin=typed, code=1)
    assert ring.kept == {}


def test_no_key_is_taken_from_the_command_line_and_no_other_service_is_known(capsys: Any) -> None:
    for words in (["set", "fal", SECRET], ["set", "nobody"], ["print", "fal"]):
        with pytest.raises(SystemExit) as refused:
            main(["key", *words])
        assert refused.value.code == 2


def test_a_key_is_removed_once(ring: Ring, capsys: Any) -> None:
    said(capsys, "set", "fal", stdin=SECRET)
    assert said(capsys, "delete", "fal") == "The key of fal was removed from the keyring.\n"
    assert said(capsys, "delete", "fal") == "No key of fal was kept there.\n"
    assert ring.kept == {}


def test_the_environment_overrules_the_keyring_and_that_is_told(
    ring: Ring, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", "another-key")
    assert "FAL_KEY is set here too, and overrules it" in said(capsys, "set", "fal", stdin=SECRET)
    assert said(capsys, "show", "fal") == "The key of fal is found in the environment (FAL_KEY).\n"
    assert "FAL_KEY is still set here" in said(capsys, "delete", "fal")


def test_where_there_is_no_key_it_is_told_how_to_set_one(ring: Ring, capsys: Any) -> None:
    told = said(capsys, "show", "replicate")
    assert told.startswith("There is no key of replicate: set REPLICATE_API_TOKEN in the environment")
    assert "`loradeck key set replicate`" in told


@pytest.mark.parametrize("action", ["set", "delete"])
def test_without_the_package_it_is_told_what_to_install(capsys: Any, action: str) -> None:
    told = said(capsys, action, "fal", stdin=SECRET, code=1)
    assert told.startswith("The package keyring is not installed; install it with `")


@pytest.mark.parametrize("action", ["set", "delete"])
def test_a_machine_without_a_keyring_says_so_and_what_to_do_instead(ring: Ring, capsys: Any, action: str) -> None:
    ring.broken = True
    told = said(capsys, action, "fal", stdin=SECRET, code=1)
    assert told.startswith("This machine has no keyring that is open (NoKeyringError): unlock it")
    assert "set FAL_KEY in the environment instead" in told
    assert "There is no key of fal" in said(capsys, "show", "fal")


def test_a_keyring_that_keeps_nothing_is_found_out(ring: Ring, capsys: Any) -> None:
    ring.drops = True
    assert "it kept nothing" in said(capsys, "set", "fal", stdin=SECRET, code=1)


def test_doctor_tells_of_each_service_where_its_key_is_or_what_to_set_and_asks_nobody(
    ring: Ring, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(socket.socket, "connect", asked)
    monkeypatch.setenv("REPLICATE_API_TOKEN", SECRET)
    ring.kept["loradeck", "fal"] = SECRET
    main(["doctor", "--json"])
    told = capsys.readouterr().out
    assert SECRET not in told
    lines = {one["what"]: (one["good"], one["said"]) for one in json.loads(told)["checks"] if one["area"] == "keys"}
    assert list(lines) == ["replicate", "fal", "anthropic"]
    assert lines["replicate"] == (True, "found in the environment")
    assert lines["fal"] == (True, "found in the system's keyring")
    assert lines["anthropic"][0] is False
    assert lines["anthropic"][1].startswith("none; set ANTHROPIC_API_KEY in the environment")
