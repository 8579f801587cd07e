"""Build the preview base from nothing: ``python -m loradeck.engines.local.preview.build --out FOLDER``.

Stages: learn the autoencoder from drawn pictures, draw and tell the corpus, learn the transformer, export.
Each stage leaves its result in ``--work`` and goes on from there when the command is given again; a
checkpoint of the transformer can be exported at any time with ``--export-now``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from loradeck.engines.local.preview.corpus import CorpusPlan, build_corpus
from loradeck.engines.local.preview.export import base_card, export, folder_size
from loradeck.engines.local.preview.progress import say
from loradeck.engines.local.preview.text import build_text_encoder, build_tokenizer
from loradeck.engines.local.preview.transformer import Trainer, TransformerPlan, train_transformer
from loradeck.engines.local.preview.vae import VaePlan, new_vae, train_vae


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loradeck.engines.local.preview.build", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the pipeline folder to write")
    parser.add_argument("--work", type=Path, help="checkpoints and the drawn corpus (default: OUT.work)")
    parser.add_argument("--steps", type=int, default=TransformerPlan.steps, help="steps of the transformer")
    parser.add_argument(
        "--pictures", type=int, default=17500, help="pictures to draw: 9 in 35 simple, 14 in 35 wide, the others square"
    )
    parser.add_argument("--threads", type=int, default=2, help="processor threads to use")
    parser.add_argument("--export-now", action="store_true", help="export what the checkpoints hold, train nothing")
    return parser


def _language(work: Path) -> tuple[PreTrainedTokenizerFast, Qwen3ForCausalLM]:
    """The tokenizer and text encoder of this build: made once, so that a later change of words cannot shift them."""
    folder = work / "language"
    if not folder.exists():
        tokenizer = build_tokenizer()
        build_text_encoder(tokenizer).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    encoder: Qwen3ForCausalLM = Qwen3ForCausalLM.from_pretrained(folder).eval().requires_grad_(False)
    return PreTrainedTokenizerFast.from_pretrained(folder), encoder


def _export_checkpoint(out: Path, work: Path, plan: TransformerPlan) -> None:
    vae = new_vae()
    if (work / "vae.pt").exists():
        vae.load_state_dict(torch.load(work / "vae.pt", weights_only=True)["vae"])
    if (work / "statistics.pt").exists():
        vae.bn.load_state_dict(torch.load(work / "statistics.pt", weights_only=True))
    trainer = Trainer(plan, work)
    tokenizer, encoder = _language(work)
    card = base_card(plan.seed, trainer.step, trainer.average)
    export(out, vae.eval(), tokenizer, encoder, trainer.average, card)
    say("export", folder=out.name, bytes=folder_size(out), step=trainer.step)


def _train(work: Path, pictures: int, vae_plan: VaePlan, plan: TransformerPlan) -> None:
    vae = train_vae(vae_plan, work)
    tokenizer, encoder = _language(work)
    shares = {"simple": 9, "square": 12, "broad": 5, "wide": 4, "pairs": 5}
    corpus_plan = replace(CorpusPlan(), **{kind: pictures * share // 35 for kind, share in shares.items()})
    corpus = build_corpus(corpus_plan, work, vae, tokenizer, encoder)
    train_transformer(plan, work, corpus)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages that are not done yet, then export."""
    options = _parser().parse_args(arguments)
    work = options.work or options.out.with_name(options.out.name + ".work")
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    plan = replace(TransformerPlan(), steps=options.steps)
    if not options.export_now:
        _train(work, options.pictures, VaePlan(), plan)
    _export_checkpoint(options.out, work, plan)


if __name__ == "__main__":
    main()
