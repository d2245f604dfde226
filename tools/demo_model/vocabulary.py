"""Trains the tokenizer: byte-level BPE over the tasks' own text, digits and capitals by themselves."""

import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import conversation
import tasks

VOCABULARY = 1024
# A word with its leading space; single digits; single capitals (so that WORDS are spelled); punctuation; spaces.
PIECES = r" ?\p{Lu}?\p{Ll}+|\p{N}|\p{L}| ?[^\s\p{L}\p{N}]+|\s+"


def train_tokenizer(seed: int) -> Tokenizer:
    """A tokenizer of VOCABULARY entries, the special tokens first."""
    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in conversation.SPECIAL_TOKENS])

    def corpus():
        for name in tasks.TASKS:
            for _ in range(3000 if name in ("facts", "json_extraction", "ordering") else 600):
                example = tasks.sample(name, "train", rng)
                yield example.prompt
                yield example.answer
        yield from conversation.SYSTEM_PROMPTS * 200

    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: str, max_positions: int) -> None:
    """tokenizer.json and tokenizer_config.json."""
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": conversation.BOS,
              "eos_token": conversation.END, "pad_token": conversation.PAD, "model_max_length": max_positions,
              "clean_up_tokenization_spaces": False,
              "add_bos_token": False, "add_eos_token": False, "padding_side": "left",
              "chat_template": conversation.CHAT_TEMPLATE}
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
