"""Where the weights of every full-size base come from, under what licence, and what to do to get them.

Repositories, licences and gates are as the models' pages on huggingface.co and copies of them tell (November 2026);
sizes are of the files that `fetch` gets, from the repositories' listings or from the parameter counts (two bytes each;
four in Z-Image-Turbo's transformer, which is stored in float32).
"""

from __future__ import annotations

from dataclasses import dataclass

HUB = "https://huggingface.co"
TOKENS = f"{HUB}/settings/tokens"


@dataclass(frozen=True)
class Licence:
    """A licence by name, where it is read, and whether it allows commercial use of the weights."""

    name: str
    link: str
    commercial: bool


@dataclass(frozen=True)
class Source:
    """One repository of weights in diffusers' layout.

    `gated` repositories are given out after their licence was accepted, to a token. `gigabytes` (10^9 bytes) is the
    download. `caution` is what else one should know before training on it.
    """

    name: str
    title: str
    repository: str
    licence: Licence
    gated: bool
    gigabytes: float
    caution: str = ""

    @property
    def page(self) -> str:
        """The repository's page, where a licence is accepted."""
        return f"{HUB}/{self.repository}"


APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", commercial=True)


FLUX1_DEV = "black-forest-labs/FLUX.1-dev"
FLUX1_KONTEXT = "black-forest-labs/FLUX.1-Kontext-dev"
FLUX2_DEV = "black-forest-labs/FLUX.2-dev"
KLEIN_4B = "black-forest-labs/FLUX.2-klein-base-4B"
KLEIN_9B = "black-forest-labs/FLUX.2-klein-base-9B"

FLUX1_LICENCE = Licence(
    "FLUX.1 [dev] Non-Commercial License", f"{HUB}/{FLUX1_DEV}/blob/main/LICENSE.md", commercial=False
)
KONTEXT_LICENCE = Licence(
    "FLUX.1 [dev] Non-Commercial License", f"{HUB}/{FLUX1_KONTEXT}/blob/main/LICENSE.md", commercial=False
)
FLUX2_LICENCE = Licence("FLUX [dev] Non-Commercial License", f"{HUB}/{FLUX2_DEV}", commercial=False)
KLEIN_9B_LICENCE = Licence("FLUX Non-Commercial License", f"{HUB}/{KLEIN_9B}", commercial=False)

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "flux1-dev",
            "FLUX.1 [dev]",
            FLUX1_DEV,
            FLUX1_LICENCE,
            gated=True,
            gigabytes=33.7,  # transformer 23.8, T5 9.5, CLIP 0.25, VAE 0.17
        ),
        Source(
            "flux1-kontext",
            "FLUX.1 Kontext [dev]",
            FLUX1_KONTEXT,
            KONTEXT_LICENCE,
            gated=True,
            gigabytes=33.7,  # the parts of FLUX.1 [dev]
        ),
        Source(
            "flux2-dev",
            "FLUX.2 [dev]",
            FLUX2_DEV,
            FLUX2_LICENCE,
            gated=True,
            gigabytes=113.0,  # transformer 64.4, Mistral 48.0, VAE 0.3
        ),
        # klein is trained on the base checkpoints: the plain ones are distilled to four steps.
        Source(
            "flux2-klein-4b",
            "FLUX.2 [klein] base 4B",
            KLEIN_4B,
            APACHE,
            gated=False,
            gigabytes=16.0,  # transformer 7.8, Qwen3-4B 8.0, VAE 0.2
        ),
        Source(
            "flux2-klein-9b",
            "FLUX.2 [klein] base 9B",
            KLEIN_9B,
            KLEIN_9B_LICENCE,
            gated=True,
            gigabytes=34.7,  # transformer 18.2, Qwen3-8B 16.4, VAE 0.2
        ),
        Source(
            "z-image",
            "Z-Image-Turbo",
            "Tongyi-MAI/Z-Image-Turbo",
            APACHE,
            gated=False,
            gigabytes=32.8,  # transformer 24.6, Qwen3-4B 8.0, VAE 0.2
            caution="Z-Image-Turbo is distilled to eight steps, and a long training wears that off: where renders turn "
            "soft, take an earlier checkpoint or train z-image-base.",
        ),
        Source(
            "z-image-base",
            "Z-Image",
            "Tongyi-MAI/Z-Image",
            APACHE,
            gated=False,
            gigabytes=20.5,  # transformer 12.3, Qwen3-4B 8.0, VAE 0.2
        ),
    )
}


def remark(name: str) -> str | None:
    """What to know before training on a base: a licence that forbids commercial use, what it is not made for."""
    source = SOURCES.get(name)
    if source is None:
        return None
    told = [] if source.licence.commercial else [_licence_told(source)]
    return " ".join([*told, source.caution]).strip() or None


def _licence_told(source: Source) -> str:
    return (
        f"{source.title} is under the {source.licence.name} ({source.licence.link}): neither it nor a LoRA trained on "
        "it may be used commercially without a licence from its makers."
    )


def variable(name: str) -> str:
    """The environment variable that names a base's weights."""
    return f"LORADECK_BASE_{name.upper().replace('-', '_')}"


def how_to_be_let_in(source: Source) -> str:
    """What opens a gated repository, as the start of a sentence."""
    return (
        f"accept its licence at {source.page}, make a token that may read at {TOKENS}, and set HF_TOKEN to it or run "
        "`hf auth login`"
    )


def command(source: Source, without_transformer: bool = False) -> str:
    """The command of huggingface_hub that gets the weights into its cache, where they are found."""
    less = ' --exclude "transformer/*.safetensors"' if without_transformer else ""
    return f'`hf download {source.repository} --include "model_index.json" --include "*/*"{less}`'


def how_to_get(source: Source, without_transformer: bool = False) -> str:
    """What to do to have the weights, as a sentence."""
    get = f"get it with {command(source, without_transformer)}"
    if not source.gated:
        return f"{get[0].upper()}{get[1:]}, then call again."
    first = how_to_be_let_in(source)
    return f"{first[0].upper()}{first[1:]}; then {get}, and call again."
