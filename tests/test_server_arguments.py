"""What is wrong with a call is told in one sentence that names the place and the way out."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from loradeck.state.errors import DiskFull, WorkspaceReadOnly
from loradeck.state.store import Store
from loradeck.tools import boundary, contracts
from loradeck.tools.contracts import Result
from loradeck.tools.errors import BadArgument, Crashed, NotFound, ToolFault
from loradeck.tools.spec import ToolSpec
from loradeck.tools.workbench import Workbench


class NoEngines:
    """For tools that need none."""

    def names(self) -> list[str]:
        return []

    def open(self, name: str) -> Any:
        raise AssertionError(name)

    def choose(self, base_model: str, ability: str) -> Any:
        raise AssertionError(base_model)


def spec(args: type[contracts.Strict], handler: Any = None) -> ToolSpec:
    return ToolSpec("the_tool", "The tool", "A tool.", args, Result, handler or (lambda args, bench: args))


def refusal(args: type[contracts.Strict], **raw: Any) -> str:
    with pytest.raises(BadArgument) as caught:
        boundary.parse(spec(args), raw)
    return str(caught.value)


@pytest.mark.parametrize(
    ("args", "raw", "told"),
    [
        (contracts.StopArgs, {"run": "x"}, "there is no 'run' (did you mean 'run_id'?)"),
        (contracts.StopArgs, {"zzz": 1}, "there is no 'zzz' (known: run_id)"),
        (contracts.StopArgs, {}, "run_id: is missing"),
        (contracts.StopArgs, {"run_id": 5}, "run_id: should be a valid string (got 5)"),
        (contracts.CurateArgs, {"source": 5}, "source: should be a valid string or should be a valid list (got 5)"),
        (contracts.CurateArgs, {"profile": "icon"}, "profile: should be 'character', 'style', 'icons'"),
        (contracts.CurateArgs, {"resolution": 100}, "resolution: should be a multiple of 16 (got 100)"),
        (contracts.StartTrainingArgs, {"steps": 0, "rank": 999}, "steps: should be greater than or equal to 1 (got 0)"),
        (contracts.StartTrainingArgs, {"steps": 0, "rank": 999}, "rank: should be less than or equal to 256 (got 999)"),
        (
            contracts.WriteCaptionsArgs,
            {"dataset_id": "d", "images": [{"image_id": "1"}, {"image_id": "2", "attributes": {"anlge": "low"}}]},
            "images[1].attributes: there is no 'anlge' (did you mean 'angle'?)",
        ),
        (
            contracts.RenderArgs,
            {"deck": {"title": "T", "slides": [{"name": "a", "prompt": "p", "promt": "q"}]}},
            "deck.slides[0]: there is no 'promt' (did you mean 'prompt'?)",
        ),
        (
            contracts.RenderArgs,
            {"deck": {"title": "T", "defaults": {"guidence": 3}, "slides": [{"name": "a", "prompt": "p"}]}},
            "deck.defaults: there is no 'guidence' (did you mean 'guidance'?)",
        ),
        (
            contracts.RenderArgs,
            {"deck": {"title": "T", "slides": [{"name": "a", "layout": "grid", "panels": [{"promt": "p"}]}]}},
            "deck.slides[0].panels[0]: there is no 'promt' (did you mean 'prompt'?)",
        ),
        (
            contracts.RenderArgs,
            {"deck": {"title": "T", "slides": [{"name": "a", "prompt": "p", "layout": "grid"}]}},
            "deck.slides[0]: the layout grid needs panels",
        ),
        (
            contracts.RenderArgs,
            {"deck": {"title": "T", "slides": [{"name": "../a", "prompt": "p"}]}},
            "deck.slides[0].name: ",
        ),
        (
            contracts.RenderArgs,
            {
                "deck": {
                    "title": "T",
                    "width": 512,
                    "defaults": {"width": 256},
                    "slides": [{"name": "a", "prompt": "p"}],
                }
            },
            "deck: there is no 'width' (known: defaults, slides, subtitle, theme, title)",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_its_place_and_what_is_wanted(
    args: type[contracts.Strict], raw: dict[str, Any], told: str
) -> None:
    sentence = refusal(args, **raw)
    assert told in sentence
    assert sentence.startswith("the_tool cannot take this: ")
    assert not sentence.startswith("the_tool cannot take this: deck: should be")
    assert "\n" not in sentence
    assert "pydantic" not in sentence


def test_many_mistakes_are_told_as_the_first_four_and_a_number() -> None:
    images = [{"image_id": number} for number in range(7)]
    sentence = refusal(contracts.WriteCaptionsArgs, dataset_id="d", images=images)
    assert sentence.count("should be a valid string") == 4
    assert "and 3 more" in sentence


def test_a_long_or_secret_value_is_not_repeated() -> None:
    assert "sk-" not in refusal(contracts.StartTrainingArgs, steps="sk-" + "x" * 60)


@pytest.mark.parametrize(
    ("args", "raw", "name", "value"),
    [
        (contracts.CurateArgs, {"reject": '["4", "7-9"]'}, "reject", ["4", "7-9"]),
        (contracts.CurateArgs, {"source": '["/a.png", "/b.png"]'}, "source", ["/a.png", "/b.png"]),
        (contracts.CurateArgs, {"source": "/a"}, "source", "/a"),
        (contracts.CurateArgs, {"subject": '["a"]'}, "subject", '["a"]'),
        (contracts.RenderArgs, {"deck": "[deck.json"}, "deck", "[deck.json"),
        (contracts.StartTrainingArgs, {"steps": "300"}, "steps", 300),
    ],
)
def test_json_text_is_read_where_a_list_or_object_is_wanted_and_only_there(
    args: type[contracts.Strict], raw: dict[str, Any], name: str, value: Any
) -> None:
    assert getattr(boundary.parse(spec(args), raw), name) == value


def test_a_deck_that_comes_as_json_text_is_a_deck() -> None:
    args = boundary.parse(
        spec(contracts.RenderArgs), {"deck": '{"title": "T", "slides": [{"name": "a", "prompt": "p"}]}'}
    )
    assert isinstance(args, contracts.RenderArgs)
    assert isinstance(args.deck, contracts.DeckSpec)


@pytest.mark.parametrize("keys", [{"$schema": "deck.schema.json"}, {"seed": 3, "width": 512, "height": 288}])
def test_a_deck_may_carry_what_editors_and_older_decks_have_beside_the_title(keys: dict[str, Any]) -> None:
    deck = {**keys, "title": "T", "slides": [{"name": "a", "prompt": "p"}]}
    for given in (deck, json.dumps(deck)):
        args = boundary.parse(spec(contracts.RenderArgs), {"deck": given})
        assert isinstance(args, contracts.RenderArgs)
        assert isinstance(args.deck, contracts.DeckSpec)
        assert args.deck.defaults.width == keys.get("width")


@pytest.mark.parametrize("prompts", [["a house", "\ud83d"], '["a house", "\\ud83d"]'])
def test_half_of_a_sign_is_told_before_anything_is_done_with_it(prompts: Any) -> None:
    told = "the_tool cannot take this: a text holds half of a sign, such as \\ud83d without its other half; remove it"
    assert refusal(contracts.CompareArgs, prompts=prompts).startswith(told)
    whole = boundary.parse(spec(contracts.CompareArgs), {"prompts": ["\U0001f600"]})
    assert isinstance(whole, contracts.CompareArgs)
    assert whole.prompts == ["\U0001f600"]


def test_a_comparison_has_two_to_six_variants_and_says_so_of_fewer_and_more() -> None:
    for count in (1, 7):
        raw = {"prompts": ["a"], "variants": [{"label": str(number)} for number in range(count)]}
        with pytest.raises(ToolFault, match="variants") as told:
            boundary.parse(spec(contracts.CompareArgs), raw)
        assert "\n" not in str(told.value)


def perform(home: Path, handler: Any) -> Any:
    bench = Workbench(store=Store(home), engines=NoEngines(), launch=lambda run_id: None)
    return boundary.perform(spec(contracts.StopArgs, handler), {"run_id": "run_x"}, lambda: bench)


def test_an_unforeseen_failure_tells_the_caller_nothing_but_the_next_step_and_the_log_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(args: contracts.StopArgs, bench: Workbench) -> Result:
        raise RuntimeError("token=sk-secret in /etc/passwd")

    with pytest.raises(Crashed) as caught:
        perform(tmp_path, handler)
    assert "secret" not in str(caught.value)
    assert "loradeck doctor" in str(caught.value)
    assert "sk-secret" in caplog.text


def test_a_full_disk_is_told_wherever_it_shows(tmp_path: Path) -> None:
    def handler(args: contracts.StopArgs, bench: Workbench) -> Result:
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/private")

    with pytest.raises(DiskFull, match=r"is full; free some room") as caught:
        perform(tmp_path, handler)
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_path_of_the_workspace_that_may_not_be_written_is_told_with_the_next_step(
    number: int, tmp_path: Path
) -> None:
    def handler(args: contracts.StopArgs, bench: Workbench) -> Result:
        raise OSError(number, "Permission denied", str(tmp_path / "decks" / "deck_x"))

    with pytest.raises(WorkspaceReadOnly, match=r"deck_x cannot be written; make its folder writable"):
        perform(tmp_path, handler)


def test_a_path_elsewhere_that_may_not_be_read_is_no_matter_of_the_workspace(tmp_path: Path) -> None:
    def handler(args: contracts.StopArgs, bench: Workbench) -> Result:
        raise OSError(errno.EACCES, "Permission denied", "/somewhere/private")

    with pytest.raises(Crashed) as caught:
        perform(tmp_path, handler)
    assert "private" not in str(caught.value)


def test_a_refusal_of_ours_passes_as_it_is(tmp_path: Path) -> None:
    def handler(args: contracts.StopArgs, bench: Workbench) -> Result:
        raise NotFound("There is no run 'run_x'.")

    with pytest.raises(NotFound, match=r"^There is no run 'run_x'\.$"):
        perform(tmp_path, handler)
