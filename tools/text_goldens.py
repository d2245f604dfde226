#!/usr/bin/env python3
"""Makes src/text/testdata: what Hugging Face tokenizers and transformers give for the room `text`.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install transformers tokenizers jinja2
    /tmp/venv/bin/python tools/text_goldens.py

Writes tokenizers/*.json (trained here, from the sentences below, where missing), tokenizations.json (ids and decoded
text by `tokenizers`) and renders.json (the templates in templates/ and the snippets in snippets.json
as transformers' own renderer renders them, with the clock held at one instant). The templates and the
snippets are written by hand.
"""

import datetime
import json
import pathlib
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers
from transformers.utils import chat_template_utils

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "src" / "text" / "testdata"

CORPUS = [
    "The gate opens and the water runs down the narrow channel.",
    "A mixture of experts sends every token to two of its eight experts.",
    "Numbers: 0 1 2 3 10 42 100 1000 1234567 3.14159 -7 50% $9.99",
    "It's what they've said; we'll see, don't you think? I'm sure he'd agree.",
    "def add(left, right):\n    return left + right\n\n\nprint(add(1, 2))\n",
    '{"name": "Ada", "age": 36, "tags": ["a", "b"], "ok": true, "none": null}',
    "Grüße aus Köln! Où est la gare ? ¿Dónde está el baño? Ελληνικά, русский язык.",
    "日本語のテキスト。中文文本，你好，世界。한국어 텍스트",
    "emoji: 😀 😃 👍🏽 👩‍👩‍👧‍👦 🇩🇪 ☃ and so on",
    "Tabs\tand  double  spaces   and    more\r\nWindows line\n\n  indented",
]

CHAT_SPECIALS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]

# As Qwen and Llama 3 split text: contractions, words, digits in threes, punctuation, white space.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    tokenizer.add_special_tokens(CHAT_SPECIALS)
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False, special=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    # Kept in the file so that reading it shows that truncation is left out.
    tokenizer.enable_truncation(8)
    return tokenizer


def byte_fallback():
    """As SentencePiece BPE models (Llama 2, Mixtral) are converted."""
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    ascii_corpus = [text for text in CORPUS if text.isascii()] + ["Grüße aus Köln"]
    trained.train_from_iterator(
        ascii_corpus, trainers.BpeTrainer(vocab_size=360, show_progress=False))
    state = json.loads(trained.to_str())["model"]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    for piece in sorted(state["vocab"], key=state["vocab"].get):
        vocab.setdefault(piece, len(vocab))
    merges = [tuple(merge) for merge in state["merges"]]
    tokenizer = Tokenizer(models.BPE(
        vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, unk_token="<unk>", special_tokens=["<pad>", "</s>", "<unk>"],
        show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


TEXTS = CORPUS + [
    "", " ", "  ", "\n", "\n\n\n", " a", "a ", "  a  b  ", "\t\tx", "\u00a0nbsp", "zero\u200bwidth",
    "e\u0301 is two code points, é is one", "ﬁ ligature Ⅷ ½", "CAPS and MiXeD", "'s 'S 'LL",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "a<|endoftext|>b", "<|im_start",
    "<tool_call>{\"name\": \"f\"}</tool_call>", "<s>hello</s>", "[CLS] and [SEP]", "<0x41><0xFF>",
    "😀", "x😀y", "👍🏽", "\U0010ffff", "\u0000null", "\ufffd replacement", "café ☕ naïve",
    "0", "00", "000", "0000", "12345678901234567890", "1,000,000.00", "!!!???...", "a" * 70,
    "мир", "שלום עולם", "สวัสดี", "नमस्ते",
]


def tokenizations(made):
    random.seed(7)
    cases = []
    for name, tokenizer in made.items():
        reader = Tokenizer.from_str(tokenizer.to_str())
        reader.no_truncation()
        reader.no_padding()
        for text in TEXTS:
            for special in (False, True):
                ids = reader.encode(text, add_special_tokens=special).ids
                cases.append({
                    "tokenizer": name, "text": text, "add_special_tokens": special, "ids": ids,
                    "decoded": reader.decode(ids, skip_special_tokens=False),
                    "decoded_skipping": reader.decode(ids, skip_special_tokens=True)})
        size = reader.get_vocab_size()
        for _ in range(60):
            ids = [random.randrange(size + 2) for _ in range(random.randrange(1, 40))]
            if random.random() < 0.5 and name == "byte_fallback":
                ids = [random.choice([i, random.randrange(3, 259)]) for i in ids]
            cases.append({
                "tokenizer": name, "ids": ids,
                "decoded": reader.decode(ids, skip_special_tokens=False),
                "decoded_skipping": reader.decode(ids, skip_special_tokens=True)})
    return cases


NOW = datetime.datetime(2025, 3, 9, 7, 5, 4)


class HeldClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def render(source, case):
    case = dict(case)
    messages = case.pop("messages", [])
    try:
        rendered, _ = chat_template_utils.render_jinja_template(
            [messages], tools=case.pop("tools", None), documents=case.pop("documents", None),
            chat_template=source, add_generation_prompt=case.pop("add_generation_prompt", False),
            **case.pop("special_tokens", {}), **case.pop("kwargs", {}))
        return {"expected": rendered[0]}
    except Exception as error:  # whatever a template raises is an outcome
        return {"error": str(error)}


def renders():
    chat_template_utils.datetime = HeldClock
    cases = []
    conversations = json.loads((TESTDATA / "conversations.json").read_text())
    for template in sorted((TESTDATA / "templates").glob("*.jinja")):
        for case in conversations:
            only = case.get("templates")
            if only and template.stem not in only:
                continue
            given = {k: v for k, v in case.items() if k != "templates"}
            cases.append({"template": template.stem, **given, **render(template.read_text(), given)})
    for snippet in json.loads((TESTDATA / "snippets.json").read_text()):
        case = {"kwargs": {"data": SNIPPET_DATA}}
        cases.append({"source": snippet, **render(snippet, case)})
    return cases


SNIPPET_DATA = {
    "name": "Ada", "age": 36, "pi": 3.14159, "big": 1e16, "small": 1e-7, "whole": 2.0, "yes": True,
    "no": False, "none": None, "text": "  Hello World  ", "quote": "it's \"q\"", "uni": "Grüße 😀\n",
    "list": [3, 1, 2], "words": ["b", "a", "C"], "nested": {"x": {"y": [1, {"z": None}]}}, "empty": [],
    "map": {"b": 1, "a": 2}, "tags": "<b>&'\"", "lines": "one\ntwo\r\nthree\n",
    "people": [{"n": "x", "k": 1}, {"n": "y", "k": 2}, {"n": "z", "k": 1}],
    "schema": {"type": "array", "items": {"type": "string"}, "keys": 1, "get": 2, "values": [1]},
}


def write(name, value):
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in value)
    (TESTDATA / name).write_text("[\n" + lines + "\n]\n")


def main():
    made = {}
    (TESTDATA / "tokenizers").mkdir(parents=True, exist_ok=True)
    for train in (byte_level, byte_fallback, unigram, wordpiece):
        # Training is not the same from run to run, so a tokenizer that is there stays.
        path = TESTDATA / "tokenizers" / f"{train.__name__}.json"
        if not path.exists():
            path.write_text(json.dumps(json.loads(train().to_str()), ensure_ascii=False) + "\n")
        made[train.__name__] = Tokenizer.from_file(str(path))
    write("tokenizations.json", tokenizations(made))
    if (TESTDATA / "conversations.json").exists():
        write("renders.json", [{"data": SNIPPET_DATA}] + renders())


if __name__ == "__main__":
    main()
