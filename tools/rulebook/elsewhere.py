"""Rules that are judged where the work is done, on a file, a plan or a run: what each says, and who tells it."""

from __future__ import annotations

from loradeck.tools.rulebook.rule import ERROR, INFO, WARNING, Scope, Severities, Statement, everywhere

PROPERTY: Severities = {}

ELSEWHERE: tuple[Statement, ...] = (
    Statement(
        "CAP-ORIGIN",
        "A caption that came with a picture and does not begin with the trigger is not taken: those of a trainer or a "
        "hub describe what the pixels teach.",
        "character LoRA practice: identity is learned from the pixels",
        Scope.CAPTION,
        everywhere(INFO),
        "curate_dataset",
    ),
    Statement(
        "CAP-STABLE",
        "Captions built from attributes are the same on every run: the wording is chosen by a hash of the picture, "
        "never by chance.",
        "a run that is repeated trains on the same words",
        Scope.CAPTION,
        PROPERTY,
        "write_captions",
    ),
    Statement(
        "IMG-FORMAT",
        "Whatever the file, training sees an upright sRGB picture of 8 bits without transparency; each change is told, "
        "with the colour that transparency was laid on.",
        "one form for every trainer",
        Scope.IMAGE,
        everywhere(INFO),
        "curate_dataset",
    ),
    Statement(
        "IMG-CROP",
        "The copy is square: bars are trimmed, and the cut keeps the face that a detector found; without one it takes "
        "the upper centre. What was cut, and by what rule, is told.",
        "character LoRA practice: the crop keeps the face",
        Scope.IMAGE,
        everywhere(INFO),
        "curate_dataset",
    ),
    Statement(
        "COV-DECK",
        "Given a deck: the view, light, face, setting, outfit or thing that a slide asks for stands in a kept image; "
        "what none shows is told with its slides, and its shots are listed.",
        "a look draws best what it has seen",
        Scope.COVERAGE,
        everywhere(INFO),
        "validate_coverage",
    ),
    Statement(
        "TRN-RANGE",
        "Numbers outside the target model's usual range are told with the range, as are captions that follow another "
        "model than the one that is trained (an info).",
        "training settings per target model",
        Scope.TRAINING,
        everywhere(WARNING),
        "start_training",
    ),
    Statement(
        "TRN-CONVERGED",
        "Steps past convergence (800-1200 for FLUX.2) are told with the plan, and a held-out loss that rises again "
        "while it happens.",
        "training settings per target model",
        Scope.TRAINING,
        everywhere(INFO),
        "start_training, check_status",
    ),
    Statement(
        "TRN-CADENCE",
        "Checkpoints every 500 steps and samples every 250, unless other numbers are asked for; a short run is cut "
        "into four parts.",
        "brand icon training guide: watch the training",
        Scope.TRAINING,
        PROPERTY,
        "start_training",
    ),
    Statement(
        "TRN-FINGERPRINT",
        "A run trains exactly the images and captions that passed.",
        "a verdict holds for what it judged",
        Scope.TRAINING,
        everywhere(ERROR),
        "start_training, check_status",
    ),
    Statement(
        "TRN-LOSS",
        "The held-out loss, whose noise is fixed, falls; the training loss is mostly noise, and no criterion.",
        "flow matching: what a loss can say",
        Scope.TRAINING,
        everywhere(WARNING),
        "check_status",
    ),
    Statement(
        "TRN-FINITE",
        "A loss that is no number stops the run, and the last good checkpoint stands.",
        "flow matching: what a loss can say",
        Scope.TRAINING,
        everywhere(ERROR),
        "check_status",
    ),
    Statement(
        "TRN-SPEND",
        "Nothing that costs money starts without a quote that was shown and a limit that was accepted.",
        "no surprise on a bill",
        Scope.TRAINING,
        PROPERTY,
        "start_training, render_deck_visuals, generate_candidates, write_captions",
    ),
    Statement(
        "RND-TRIGGER",
        "A prompt for a LoRA carries its trigger: a missing one is put in front.",
        "character LoRA practice: the trigger calls the look",
        Scope.RENDER,
        everywhere(INFO),
        "render_deck_visuals",
    ),
    Statement(
        "RND-SIZE",
        "A picture has the size that was asked for.",
        "looked at by machine before a person does",
        Scope.RENDER,
        everywhere(WARNING),
        "render_deck_visuals",
    ),
    Statement(
        "RND-BLANK",
        "A picture is more than one even colour: its pixels spread over 4 of 255 or more. A black one, or one that is "
        "black but for a few grey words, is told as withheld by a host's safety filter.",
        "looked at by machine before a person does",
        Scope.RENDER,
        everywhere(WARNING),
        "render_deck_visuals",
    ),
    Statement(
        "RND-DARK",
        "A picture is not dark all over: its mean brightness is 46 of 255 or more, or its highlights 120, as in a "
        "night with a lamp in it.",
        "looked at by machine before a person does",
        Scope.RENDER,
        everywhere(WARNING),
        "render_deck_visuals",
    ),
    Statement(
        "RND-TWIN",
        "No two slides show the same: their thumbnails differ by 2.5 of 255 or more.",
        "looked at by machine before a person does",
        Scope.RENDER,
        everywhere(WARNING),
        "render_deck_visuals",
    ),
    Statement(
        "RND-COPY",
        "A picture is no near-copy of a training image of its LoRA, resized, cut, shifted or mirrored: laid on one "
        "another they correlate under 0.95, or differ by more than 0.12 in some part.",
        "looked at by machine before a person does",
        Scope.RENDER,
        everywhere(WARNING),
        "render_deck_visuals",
    ),
    Statement(
        "RND-OFFSTYLE",
        "A picture is less than half way from the training look of its LoRA to what the base draws alone, or within "
        "1.5 times the distance of the training images from one another.",
        "looked at by machine before a person does",
        Scope.RENDER,
        everywhere(WARNING),
        "render_deck_visuals",
    ),
    Statement(
        "REF-COUNT",
        "No more references are handed to a model than it takes: Kontext 4, Flux 2 10, Nano Banana Pro 14, Flash 3.",
        "references are the opposite of training data",
        Scope.REFERENCE,
        everywhere(ERROR),
        "render_deck_visuals",
    ),
    Statement(
        "REF-CLEAN",
        "A reference has one clean plain ground, or none (none at all for VACE), while training wants grounds that "
        "vary; a panel of a reference sheet that is drawn stands on plain white.",
        "references are the opposite of training data",
        Scope.REFERENCE,
        everywhere(WARNING),
        "render_deck_visuals",
    ),
)
