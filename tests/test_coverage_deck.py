"""A deck as wanted cells: what its slides ask for and the set has never seen, told and put on the shot list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from support.client import command, talk
from support.datasets import ready_dataset
from support.images import bench
from support.rules import TRIGGER, balanced, breaks, changed, facts, image, on_set, passes

from loradeck.state.records import CaptionRecord, DatasetRecord, DeckRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, Finding, Profile, Severity, Shot, ValidateArgs, ValidateResult, Verdict
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.validate_coverage.asked import HOURS, LAMPS, wishes
from loradeck.tools.validate_coverage.deck import MOST_TOLD, findings, summed_up, wanted_by
from loradeck.tools.validate_coverage.shots import MOST_SHOTS, shot_list
from loradeck.tools.validate_coverage.tool import TOOL
from loradeck.tools.workbench import Workbench

INFO = Severity.INFO
BAKER = Path(__file__).parent.parent / "examples" / "decks" / "the_baker.yaml"


def deck(*prompts: str) -> DeckSpec:
    slides = [{"name": f"s{number}", "prompt": prompt} for number, prompt in enumerate(prompts, 1)]
    return DeckSpec.model_validate({"title": "Night", "slides": slides})


def told(made: SetFacts, *prompts: str) -> list[Finding]:
    return findings(wanted_by(deck(*prompts), made))


def said(made: SetFacts, *prompts: str) -> list[str]:
    return [finding.why for finding in told(made, *prompts)]


def shots(made: SetFacts, *prompts: str) -> list[Shot]:
    return shot_list(made, [cell.attributes for cell in wanted_by(deck(*prompts), made)])


def look(places: dict[str, str], profile: Profile = Profile.STYLE) -> SetFacts:
    """Thirty images of a look in these places, each in its light."""
    rows = [list(places.items())[n % len(places)] for n in range(30)]
    return facts([image(n, background=row[0], lighting=row[1]) for n, row in enumerate(rows, 1)], profile)


# --------------------------------------------------------------------------- figures


@breaks("COV-DECK", INFO)
def test_a_back_view_at_night_is_told_with_its_slide_where_the_set_has_none() -> list[Finding]:
    found = told(facts(balanced()), f"{TRIGGER} in a kitchen", f"{TRIGGER} seen from behind, at night")
    assert [one.why for one in found] == ["Slide 2 (s2) needs a back view at night; the set has none."]
    assert (found[0].severity, found[0].where) == (INFO, ["set"])
    return found


@passes("COV-DECK")
def test_what_the_set_has_seen_is_not_asked_for() -> list[Finding]:
    made = facts([*balanced(), image(21, angle="back", framing="medium", lighting="a moonlit night")])
    return told(
        made,
        f"{TRIGGER} seen from behind, at night",
        f"{TRIGGER}, a smiling close-up from the front in a library, in a red dress",
        f"{TRIGGER} in profile, soft daylight",
    )


@pytest.mark.parametrize(
    ("prompt", "lacks"),
    [
        ("low angle, furious", ["a view from below", "anger"]),
        ("a close-up by candle light", ["needs a picture in candle light;"]),
        ("in a church", ['the setting "church"']),
        ("wears a yellow raincoat", ['the outfit "yellow raincoat"']),
        ("weeping, in a kitchen", ["a face that shows sadness"]),
        ("at dawn in neon light", ["a picture at dawn in neon light"]),
    ],
)
def test_each_attribute_of_a_prompt_is_read(prompt: str, lacks: list[str]) -> None:
    (sentence,) = said(facts(balanced()), f"{TRIGGER}, {prompt}")
    assert [words for words in lacks if words not in sentence] == []


def test_a_view_and_a_light_are_wanted_in_one_picture_and_a_setting_alone() -> None:
    dusk = [image(n, angle="front", lighting="dusk", background="kitchen") for n in range(1, 4)]
    day = [image(n, angle="back", lighting="daylight", background="forest path") for n in range(4, 7)]
    made = facts([*dusk, *day])
    assert said(made, "seen from behind, in a kitchen") == []
    assert said(made, "seen from behind at dusk") == ["Slide 1 (s1) needs a back view at dusk; the set has none."]


def test_light_and_things_that_come_from_above_are_no_camera() -> None:
    made = facts(balanced())
    for prompt in ("soft light from above", "plaster falling from the painted ceiling", "a lamp hanging from above"):
        assert [wish for wish in wishes(prompt, made) if wish.attribute == "angle"] == []
    assert [wish.said for wish in wishes("seen from above", made)] == ["a view from above"]


def test_slides_that_want_the_same_are_told_together_and_first() -> None:
    sentences = said(facts(balanced()), "by candle light", "seen from above", "by candle light", "by candle light")
    assert sentences == [
        "Slides 1 (s1), 3 (s3) and 4 (s4) need a picture in candle light; the set has none.",
        "Slide 2 (s2) needs a view from above; the set has none.",
    ]


def test_of_what_nobody_knows_nothing_is_said() -> None:
    bare = facts([image(n) for n in range(1, 21)])
    assert said(bare, "seen from behind, at night") == []
    assert "too little is known" in summed_up(deck("seen from behind"), [], bare)


def test_captions_tell_where_attributes_are_unknown() -> None:
    seen = facts([image(1, f"{TRIGGER} is seen from behind at night in a street.")])
    assert said(seen, "seen from behind at night") == []
    assert said(seen, "left profile at night") == ["Slide 1 (s1) needs a profile left view at night; the set has none."]


def test_what_is_not_english_asks_nothing() -> None:
    assert wishes("eine alte Frau sitzt bei Nacht in einer kleinen Küche und wartet auf ihren Sohn", facts([])) == []


def test_a_robot_is_not_asked_for_clothes_or_expressions() -> None:
    from loradeck.tools.contracts import SubjectKind

    made = facts([image(1, angle="front", lighting="dusk")], subject_kind=SubjectKind.ROBOT)
    assert {wish.attribute for wish in wishes("smiling in a red dress, low angle", made)} == {"angle"}


def test_hours_and_lamps_are_classes_of_the_rules() -> None:
    from loradeck.tools.rulebook.claims import LIGHT

    assert {name for tried in LIGHT.tried.values() for name, _ in tried} >= HOURS | LAMPS


# --------------------------------------------------------------------------- looks


def test_a_look_is_asked_for_settings_light_and_things() -> None:
    made = look({"church nave": "candle light", "street": "daylight"})
    assert said(made, "a church nave lit by small candles") == []
    assert said(made, "a stone harbour in bright haze") == [
        'Slide 1 (s1) needs the setting "harbour" and a picture in haze; the set has none.'
    ]
    assert said(made, "a gilded frame on a chair, seen from behind") == []  # of things nothing is known


def test_a_brand_set_is_asked_for_things_by_any_of_their_names() -> None:
    made = facts(
        [image(n, subject=name) for n, name in enumerate(("dog", "apple core", "umbrellas"), 1)], Profile.ICONS
    )
    assert said(made, "a puppy", "an apple", "a red umbrella at night in a church") == []
    assert said(made, "rows of empty velvet seats, one lit") == [
        'Slide 1 (s1) needs "rows of empty velvet seats"; the set has none.'
    ]


# --------------------------------------------------------------------------- shots


def test_a_wanted_cell_is_a_whole_shot_behind_the_keystones_and_before_the_rest() -> None:
    no_profiles = changed([one for one in balanced() if "profile" not in str(one.angle)], background="kitchen")
    made = shots(facts(no_profiles), f"{TRIGGER} seen from behind, at night, in a street")
    assert [shot.attributes["angle"] for shot in made[:2]] == ["profile_left", "profile_right"]
    assert made[2].attributes["angle"].startswith("back")
    assert made[2].attributes["lighting"] == "night"
    assert made[2].attributes["background"] == "street"
    assert set(made[2].attributes) == {"framing", "angle", "expression", "background", "lighting", "wardrobe"}
    assert [shot.worth for shot in made] == sorted((shot.worth for shot in made), reverse=True)
    assert made[3].worth <= made[2].worth < made[1].worth


def test_a_set_that_lacks_nothing_else_gets_the_shots_of_the_deck_alone() -> None:
    (shot,) = shots(facts(balanced()), f"{TRIGGER}, a close-up, furious, by candle light")
    assert shot.text == "close up, front, anger, industrial corridor, candle light, main outfit"


def test_the_shots_of_a_deck_fill_its_cells_and_mend_the_set() -> None:
    few = facts(balanced()[:9])
    prompts = [slide.prompt for slide in deck("seen from behind at night", "weeping in a church", "low angle").slides]
    added = [image(100 + n, **shot.attributes) for n, shot in enumerate(shots(few, *prompts))]
    grown = [*few.images, *added]
    assert said(facts(grown), *prompts) == []
    assert [one for one in on_set(grown) if one.rule_id.startswith("COV") and one.severity == Severity.ERROR] == []


def test_sixty_slides_leave_room_for_the_set_itself() -> None:
    rooms = ("hall", "cellar", "attic", "barn", "chapel", "cinema", "quay", "pier", "beach", "cave", "canyon", "zoo")
    prompts = [f"in a {room} {light}" for room in rooms for light in ("at dawn", "by candle light", "in neon light")]
    made = facts(balanced()[:3])
    cells = wanted_by(deck(*prompts), made)
    assert len(findings(cells)) == MOST_TOLD + 1
    assert findings(cells)[-1].why.startswith(f"{len(cells) - MOST_TOLD} more slides")
    listed = shot_list(made, [cell.attributes for cell in cells])
    assert len(listed) <= MOST_SHOTS
    assert sum(shot.worth > 1 for shot in listed) >= 5


# --------------------------------------------------------------------------- the tool


@pytest.fixture
def on(tmp_path: Path) -> Workbench:
    made = bench(tmp_path)
    ready_dataset(made.store)
    return made


def figure(store: Store) -> DatasetRecord:
    """The balanced person, as rows."""
    store.add(DatasetRecord("ds_person", "person", "character", "preview", 64, trigger=TRIGGER))
    for one in balanced():
        store.add(
            ImageRecord(
                one.id, "ds_person", one.number, f"{one.number}.png", "/x", "x.png", one.sha256, "kept",
                facts={"width": 1024, "height": 1024, "format": "PNG", "bytes": 9}, attributes=dict(one.attributes),
            )
        )  # fmt: skip
        store.add(CaptionRecord(one.id, "ds_person", f"{TRIGGER} stands there.", "given"))
    return store.where(DatasetRecord, "id = ?", ["ds_person"])[0]


def validate(on: Workbench, dataset: str, **arguments: Any) -> ValidateResult:
    answer = TOOL.handler(ValidateArgs(dataset_id=dataset, **arguments), on)
    assert isinstance(answer, ValidateResult)
    return answer


def of_deck(answer: ValidateResult) -> list[str]:
    return [finding.why for finding in answer.findings if finding.rule_id == "COV-DECK"]


def test_a_deck_file_a_title_and_an_id_name_the_same_deck_and_the_verdict_stays(on: Workbench, tmp_path: Path) -> None:
    figure(on.store)
    spec = deck(f"{TRIGGER} seen from behind at night")
    on.store.add(DeckRecord("deck_night2", "Night", spec.model_dump(mode="json")))
    (tmp_path / "night.json").write_text(spec.model_dump_json(), encoding="utf-8")
    without = validate(on, "person")
    for ref in ("deck_night2", "night", str(tmp_path / "night.json")):
        answer = validate(on, "person", deck=ref)
        assert of_deck(answer) == ["Slide 1 (s1) needs a back view at night; the set has none."]
        assert "1 of the 1 slides of 'Night' ask for what the set lacks (COV-DECK)." in answer.summary
        assert answer.shot_list[0].attributes["lighting"] == "night"
        assert (answer.verdict, answer.fingerprint) == (without.verdict, without.fingerprint)
    assert of_deck(without) == []


def test_a_set_that_passes_still_passes_with_a_deck_that_wants_more(on: Workbench) -> None:
    answer = validate(on, "ready", deck=str(BAKER))
    assert answer.verdict == Verdict.PASS
    assert 'Slide 12 (audience) needs "rows of empty red velvet seats"; the set has none.' in of_deck(answer)
    assert answer.shot_list[0].attributes["subject"]


def test_a_deck_that_is_not_there_or_wrong_is_one_sentence(on: Workbench, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no deck file 'nowhere.yaml'"):
        validate(on, "ready", deck="/nowhere.yaml")
    with pytest.raises(NotFound, match="no deck 'The Miller'"):
        validate(on, "ready", deck="The Miller")
    (tmp_path / "bad.yaml").write_text("title: x\nslides: []\n", encoding="utf-8")
    with pytest.raises(BadArgument, match="slides"):
        validate(on, "ready", deck=str(tmp_path / "bad.yaml"))


def test_a_client_gives_a_deck_file_and_hears_what_its_slides_need(tmp_path: Path) -> None:
    figure(Store(tmp_path))

    async def conversation(client: Client) -> Any:
        return await client.call_tool("validate_coverage", {"dataset_id": "person", "deck": str(BAKER)})

    result = talk(command(tmp_path), conversation)
    assert not result.is_error, result.content
    answer = ValidateResult.model_validate(result.structured_content)
    assert 'Slides 1 (cover) and 13 (closing) need the setting "hall"; the set has none.' in of_deck(answer)
    assert "Slide 6 (fredric) needs a picture in window light; the set has none." in of_deck(answer)
    assert "hall" in {shot.attributes["background"] for shot in answer.shot_list}
