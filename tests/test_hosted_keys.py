"""Keys come from the environment or the keyring, and show themselves nowhere."""

import copy
import pickle
import sys
from types import ModuleType

import pytest

from loradeck.engines.hosted import keys

SECRET = "0d1f2a3b-4c5d-6e7f:9a8b7c6d5e4f3a2b1c0d"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for variable in keys.VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setattr(keys, "_handed_out", {})


def ring(monkeypatch, get_password):
    """A keyring package that answers with `get_password(errors, service, name)`."""
    package, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})
    package.get_password = lambda service, name: get_password(errors, service, name)
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


def test_without_environment_and_keyring_there_is_no_key():
    assert keys.key("fal") is None


def test_a_key_of_blanks_is_no_key(monkeypatch):
    monkeypatch.setenv("FAL_KEY", "  \n")
    assert keys.key("fal") is None


@pytest.mark.parametrize(("name", "variable"), keys.VARIABLES.items())
def test_each_service_reads_its_own_variable(monkeypatch, name, variable):
    monkeypatch.setenv(variable, f" {SECRET}\n")
    assert keys.key(name).reveal() == SECRET
    assert all(keys.key(other) is None for other in keys.VARIABLES if other != name)


def test_the_keyring_is_asked_where_the_environment_has_none(monkeypatch):
    ring(monkeypatch, lambda errors, service, name: SECRET if (service, name) == ("loradeck", "fal") else None)
    assert keys.key("fal").reveal() == SECRET
    assert keys.key("replicate") is None


def test_the_environment_overrules_the_keyring(monkeypatch):
    ring(monkeypatch, lambda errors, service, name: "from the ring")
    monkeypatch.setenv("FAL_KEY", SECRET)
    assert keys.key("fal").reveal() == SECRET


def test_a_machine_without_a_keyring_has_no_key_there(monkeypatch):
    def fails(errors, service, name):
        raise errors.KeyringError("no backend")

    ring(monkeypatch, fails)
    assert keys.key("fal") is None


def test_a_key_shows_itself_in_no_text_and_no_pickle():
    key = keys.Key(SECRET, "FAL_KEY")
    assert SECRET not in f"{key} {key!r} {[key]} {vars(keys.Key)}"
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="is a secret"):
            write(key)


def test_keys_are_blackened_in_a_text_whole_and_in_parts(monkeypatch):
    monkeypatch.setenv("FAL_KEY", SECRET)
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_1234567890")
    whole = keys.redacted(f"Key {SECRET} and r8_1234567890 and {SECRET.split(':')[1]}.")
    assert whole == "Key <FAL_KEY> and <REPLICATE_API_TOKEN> and <FAL_KEY>."


def test_a_key_from_the_keyring_is_blackened_once_it_was_read(monkeypatch):
    ring(monkeypatch, lambda errors, service, name: SECRET)
    keys.key("fal")
    assert keys.redacted(f"sent {SECRET}") == "sent <FAL_KEY>"


def test_a_short_part_of_a_key_leaves_other_words_alone(monkeypatch):
    monkeypatch.setenv("FAL_KEY", "fal:9a8b7c6d5e4f3a2b1c0d")
    assert keys.redacted("fal said no") == "fal said no"
