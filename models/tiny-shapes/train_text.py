"""Second phase: a tokenizer from the captions, and a text encoder that understands them.

Linear heads behind the encoder name what each caption means; two captions of one scene are pulled
together. The heads are thrown away: the denoiser then reads states in which the meaning is plain.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from captions import ANY, ATTRIBUTES, Named, caption, empty_talk, naming
from checkpoint import load, save, warm_up_and_cosine
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from world import BACKGROUNDS, Scene, all_combinations

STEPS = 2000
BATCH = 64
LEARNING_RATE = 1e-3
TOKENS = 48
WIDTH = 64
VOCABULARY = 1400
LIKENESS_WEIGHT = 1.0
START, END = "<|startoftext|>", "<|endoftext|>"


def random_scene(rng: random.Random) -> Scene:
    """Any scene: words are learned for all combinations, pictures are not."""
    return Scene(*rng.choice(all_combinations()), background=rng.choice(list(BACKGROUNDS)))


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer with a vocabulary of its own; any letters at all can be written in it."""
    if not (folder / "vocab.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        rng = random.Random(0)
        corpus = [caption(naming(random_scene(rng), rng), rng) for _ in range(20_000)]
        corpus += [empty_talk(rng) for _ in range(2_000)]
        bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
        bpe.normalizer = normalizers.Lowercase()
        bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(_words_pattern(), "removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        bpe.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY - 2, end_of_word_suffix="</w>", initial_alphabet=alphabet,
            show_progress=False, special_tokens=[],
        )  # fmt: skip
        bpe.train_from_iterator(corpus, trainer)
        _write_vocabulary(json.loads(bpe.to_str())["model"], alphabet, folder)
    vocabulary = json.loads((folder / "vocab.json").read_text())
    merges = [tuple(line.split()) for line in (folder / "merges.txt").read_text().splitlines()[1:]]
    return CLIPTokenizer(
        vocab=vocabulary, merges=merges, model_max_length=TOKENS, unk_token=END,
        bos_token=START, eos_token=END, pad_token=END,
    )  # fmt: skip


def _words_pattern() -> object:
    from tokenizers import Regex

    return Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")


def _write_vocabulary(model: dict[str, object], alphabet: list[str], folder: Path) -> None:
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]  # type: ignore[attr-defined]
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    tokens += [merge.replace(" ", "") for merge in merges]
    tokens = [*dict.fromkeys(tokens), START, END]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=4 * WIDTH,
            num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=TOKENS,
            projection_dim=WIDTH, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


def tokens_of(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids (N, TOKENS), as the pipeline makes them."""
    ids: torch.Tensor = tokenizer(
        texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


class Heads(nn.Module):
    """What the states at and behind a caption's end mean: logits for each attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({k: nn.Linear(WIDTH, len(v)) for k, v in ATTRIBUTES.items()})

    def forward(self, states: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: head(states) for name, head in self.heads.items()}


def _said(rng: random.Random) -> tuple[Named | None, str, str]:
    if rng.random() < 0.08:
        return None, empty_talk(rng), empty_talk(rng)
    named = naming(random_scene(rng), rng)
    return named, caption(named, rng), caption(named, rng)


def _labels(named: list[Named | None]) -> dict[str, torch.Tensor]:
    meanings = [each.labels() if each else dict.fromkeys(ATTRIBUTES, ANY) for each in named]
    return {
        name: torch.tensor([values.index(meaning[name]) for meaning in meanings])
        for name, values in ATTRIBUTES.items()
    }


def train_text(cache: Path) -> tuple[CLIPTokenizer, CLIPTextModel]:
    """Train, or go on training; returns the tokenizer and the frozen encoder."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(cache / "tokenizer")
    encoder, heads = build_text_encoder(tokenizer), Heads()
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, betas=(0.9, 0.98))
    first = 0
    if state := load(cache / "text.pt"):
        encoder.load_state_dict(state["encoder"])
        heads.load_state_dict(state["heads"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    started = time.monotonic()
    for step in range(first, STEPS):
        rng = random.Random(step)
        said = [_said(rng) for _ in range(BATCH)]
        texts = [text for _, one, other in said for text in (one, other)]
        labels = _labels([named for named, _, _ in said])
        ids = tokens_of(tokenizer, texts)
        states = encoder(ids).last_hidden_state
        end = (ids == tokenizer.eos_token_id).int().argmax(1)
        behind = torch.arange(TOKENS) >= end[:, None]
        logits = heads(states[behind])
        owner = (torch.arange(len(texts)) // 2)[:, None].expand(-1, TOKENS)[behind]
        loss = sum(
            functional.cross_entropy(logits[name], labels[name][owner]) for name in ATTRIBUTES
        )
        last = states[:, -1]
        alike = (last[0::2] - last[1::2]).pow(2).mean()
        (loss + LIKENESS_WEIGHT * alike).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm_up_and_cosine(step, STEPS, 100)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 200 == 0:
            print(f"text {step + 1}/{STEPS} loss {loss.item():.4f} alike {alike.item():.3f}, "
                  f"{time.monotonic() - started:.0f} s", flush=True)  # fmt: skip
        if (step + 1) % 500 == 0 or step + 1 == STEPS:
            save(cache / "text.pt", {"encoder": encoder.state_dict(), "heads": heads.state_dict(),
                 "optimizer": optimizer.state_dict(), "step": step + 1})  # fmt: skip
    print(text_gate(tokenizer, encoder, heads), flush=True)
    return tokenizer, encoder.requires_grad_(False).eval()


@torch.no_grad()
def text_gate(
    tokenizer: CLIPTokenizer, encoder: CLIPTextModel, heads: Heads, count: int = 2000
) -> dict[str, float]:
    """The share of fresh captions whose every attribute the heads read right."""
    rng = random.Random("gate")
    named = [naming(random_scene(rng), rng) for _ in range(count)]
    texts = [caption(each, rng) for each in named]
    logits = heads(encoder(tokens_of(tokenizer, texts)).last_hidden_state[:, -1])
    right = {k: (logits[k].argmax(1) == v) for k, v in _labels(list(named)).items()}
    joint = np.logical_and.reduce([value.numpy() for value in right.values()])
    return {k: float(v.float().mean()) for k, v in right.items()} | {"joint": float(joint.mean())}


if __name__ == "__main__":
    import sys

    torch.set_num_threads(1)
    train_text(Path(sys.argv[1]))
