"""What a call to write_captions means: which images, with which attributes and captions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from loradeck.state.records import ImageRecord
from loradeck.tools.contracts import AttributeSource, CaptionItem, CaptionMode, ImageStatus, WriteCaptionsArgs
from loradeck.tools.datasets import References, nothing_called
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.facts import merged
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.words import tidy
from loradeck.tools.write_captions.colours import colour_names
from loradeck.tools.write_captions.compose import compose, what_is_known
from loradeck.tools.write_captions.drafts import Draft


@dataclass
class Request:
    """Rows after the call's attributes were merged in (`rows`: all images by id; `changed`: which differ), the images
    that were named, the captions given, and what could not be followed (`unknown`: names of no image here).
    """

    rows: dict[str, ImageRecord]
    named: list[str] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    captions: dict[str, str] = field(default_factory=dict)
    outranked: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def kept(self) -> list[ImageRecord]:
        """The images that train."""
        return [row for row in self.rows.values() if row.status == ImageStatus.KEPT]

    @property
    def set_aside(self) -> list[int]:
        """Numbers of images that were named but do not train: set aside, or proposed."""
        return [self.rows[key].number for key in self.named if self.rows[key].status != ImageStatus.KEPT]


def understood(images: Sequence[ImageRecord], items: Sequence[CaptionItem]) -> Request:
    """Resolve references and merge attributes; what names no image is noted, and the rest goes on.

    Raises NotFound when nothing names an image, BadArgument for one caption on several images.
    """
    request = Request({image.id: image for image in images})
    named = References(images)
    already: set[str] = set()
    for item in items:
        try:
            meant = named.select([item.image_id])
        except NotFound:
            request.unknown.append(item.image_id)
            continue
        if item.caption is not None and len(meant) != 1:
            raise BadArgument(
                f"{item.image_id!r} means {len(meant)} images, so nothing was saved; give a caption to one image at a "
                "time."
            )
        for image in meant:
            _merge(request, request.rows[image.id], item)
            if item.caption is not None:
                request.captions[image.id] = item.caption
        request.named += [image.id for image in meant if image.id not in already]
        already |= {image.id for image in meant}
    if request.unknown and not request.named:
        raise NotFound(nothing_called(images, request.unknown))
    return request


def _merge(request: Request, row: ImageRecord, item: CaptionItem) -> None:
    told = item.attributes.model_dump(mode="json", exclude_none=True) if item.attributes else {}
    values, sources, outranked = merged(row.attributes, row.sources, told, AttributeSource.ASSISTANT)
    request.outranked += [f"{name} of image {row.number}" for name in outranked]
    if (values, sources) != (row.attributes, row.sources):
        request.rows[row.id] = replace(row, attributes=values, sources=sources)
        request.changed.add(row.id)


def drafts(args: WriteCaptionsArgs, request: Request, facts: SetFacts, seen: set[str]) -> list[Draft]:
    """The captions to write, by image number: given ones, composed ones, bare triggers where that was asked.

    Images that a call names are meant, else all kept ones (for mode=attributes and trigger_only).
    """
    wanted = set(request.named) if args.images else {image.id for image in facts.images}
    made: list[Draft] = []
    for image in facts.images:
        if image.id not in wanted:
            continue
        row = request.rows[image.id]
        text: str | None = None
        mode = CaptionMode.GIVEN
        if image.id in request.captions:
            text = tidy(request.captions[image.id])
        elif args.mode == CaptionMode.ATTRIBUTES:
            colours = colour_names(row.facts.get("dominant_colors") or [])
            text, mode = compose(facts, what_is_known(facts, image, row.sha256, colours)), CaptionMode.ATTRIBUTES
        if text is None and args.trigger_only:
            text, mode = facts.trigger, CaptionMode.GIVEN
        if text is not None:
            made.append(Draft(image.id, text, mode, image.id in seen))
    return made
