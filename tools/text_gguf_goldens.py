#!/usr/bin/env python3
"""Makes src/text/testdata/gguf: vocabularies as GGUF files hold them, and Hugging Face's ids.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install transformers tokenizers jinja2 sentencepiece
    /tmp/venv/bin/python tools/text_gguf_goldens.py

Two vocabularies are trained here, where missing: byte_level.json and sentence_piece.json, which hold
what convert_hf_to_gguf.py would write (tokens, types, merges or scores). Every other file is one
tokenizer over one of them: its GGUF flags, and ids and decoded text of texts.json by a tokenizer that
is put together as that family's tokenizer.json is, by transformers' own class where it has one.
"""

import io
import json
import pathlib
import random

import sentencepiece
import transformers
from text_goldens import CORPUS, SPLIT, TEXTS
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers
from transformers.tokenization_utils_base import generate_merges

TESTDATA = pathlib.Path(__file__).resolve().parent.parent / "src" / "text" / "testdata" / "gguf"

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

MORE_TEXTS = [
    "don't DON'T I'LL we'Ve 'tis 'Re o'clock ''s 'x", "camelCase HTTPServer XMLHttp iPhone ÉCOLE école",
    "1 12 123 1234 12345 123456 ١٢٣٤ ½¾ ⅷ ²³", "v1.2.3-rc4+5 192.168.0.1 1e-10 0xFF 10,000",
    "a\nb\r\nc\rd\n\n\ne", "  \n  \n\t\n x", "end of line   \n   next", "x \n", "\r\n\r\n", "\n \n", " \t \n\t ",
    "https://example.org/a/b?c=d&e=f#g //comment\n/* x */\n", "a/b/c\n/\n//\n", "...\n...\n\n!!!\r\n?",
    "e\u0301cole A\u030angstro\u0308m n\u0303 \u1112\u1161\u11ab \u2126 \u212b \ufb01", "\u0915\u093f \u0e01\u0e33 \u0b95\u0bcd",
    "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u0085g\u200bh\ufeffi", "\u0000\u0001\u001b[0m\u007f\u0080",
    "日本語と中文と한국어をmixed1234テキスト、。「」", "ﾊﾝｶｸ ＦＵＬＬ１２３", "Русский текст, ещё ёлка; ΑΒΓ αβγ ς",
    "العربية ١٢٣ עברית", "ไทยภาษา កាន់តែ မြန်မာ தமிழ் ಕನ್ನಡ", "👩‍👩‍👧‍👦👍🏽🇩🇪🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🀄x🀄1🀄 🀄", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐐀𐐨 𒀀",
    "<|im_start|>user\n Hi <|im_end|>\n", "<|begin|><|begin|> x<|im_end|>y", "<tool_call>\n{}\n</tool_call>",
    "a<tool_call> b <tool_call>", "<|im_start|", "<|IM_START|>", "[PAD700] [PAD]", "[INST] Hi [/INST] yes </s>",
    "<s>[INST] Hi[/INST]yes</s>[INST]", "<s> <s>x<s>", "</s></s> ", "<unk> <0x41> <0xE2>", "x    y        z     ",
    "    def f():\n        return 1\n", "\tif (x) {\n\t\ty();\n\t}\n", "= == === ==== ===== ======", "-" * 33 + "\n",
    " xylem xylem\nxylem", "xylem", "aaaa" * 9, "ab" * 40, "\u2581under \u2581\u2581bar \u2581", "Ġ Ċ ĉ âĢĻ",
]


def mixed(count):
    """Texts of random pieces of the others, for what no one thinks of."""
    rng = random.Random(11)
    pieces = [text[i:i + rng.randrange(1, 9)]
              for text in TEXTS + MORE_TEXTS for i in range(0, len(text), 5)]
    return ["".join(rng.choice(pieces) for _ in range(rng.randrange(1, 7))) for _ in range(count)]


def all_texts():
    seen = dict.fromkeys(TEXTS + MORE_TEXTS + mixed(200))
    return [text for text in seen if len(text) <= 160 or text in CORPUS]


def byte_level():
    """Trained on whole lines, so that each way to cut text into words gives other ids."""
    apart = ["xylem", "<|", "<tool_call>"]  # which become tokens of their own
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trained.train_from_iterator(
        [text for text in TEXTS + MORE_TEXTS for _ in range(2) if not any(x in text for x in apart)],
        trainers.BpeTrainer(
            vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    state = json.loads(trained.to_str())["model"]
    tokens = sorted(state["vocab"], key=state["vocab"].get)
    # No merges lead to it: a token for those alone that look words up first.
    tokens.append("Ġxylem")
    types = [NORMAL] * len(tokens)
    for token, kind in [("<|begin|>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL),
                        ("<tool_call>", USER_DEFINED), ("    ", USER_DEFINED)]:
        tokens.append(token)
        types.append(kind)
    for _ in range(2):
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(UNUSED)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in state["merges"]]
    return {"tokens": tokens, "types": types, "merges": merges}


def sentence_piece():
    model = io.BytesIO()
    lines = [line for text in TEXTS + MORE_TEXTS if "\0" not in text for line in text.splitlines()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in lines if line.strip() and "\u2581" not in line]),
        model_writer=model, model_type="bpe", vocab_size=1000, byte_fallback=True, split_digits=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, character_coverage=0.98, hard_vocab_limit=False,
        minloglevel=2)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    tokens, types, scores = [], [], []
    for i in range(pieces.vocab_size()):
        tokens.append(pieces.id_to_piece(i))
        scores.append(pieces.get_score(i))
        types.append(UNKNOWN if pieces.is_unknown(i) else CONTROL if pieces.is_control(i)
                     else BYTE if pieces.is_byte(i) else NORMAL)
    tokens.append(f"[PAD{len(tokens)}]")
    return {"tokens": tokens, "types": types + [UNUSED], "scores": scores + [-10000.0]}


def with_turns(vocabulary):
    """The same with tokens that mark turns, as Mistral's later vocabularies have them."""
    more = {"tokens": ["[INST]", "[/INST]"], "types": [CONTROL] * 2, "scores": [0.0] * 2}
    return {key: values + more[key] for key, values in vocabulary.items()}


def real_tokens(vocabulary):
    kinds = vocabulary["types"]
    return {token: i for i, token in enumerate(vocabulary["tokens"]) if kinds[i] != UNUSED}


def add_tokens(tokenizer, vocabulary, normalized=False):
    for token, kind in zip(vocabulary["tokens"], vocabulary["types"]):
        if kind in (UNKNOWN, CONTROL):
            tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        if kind == USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, special=False, normalized=normalized)])


def with_around(tokenizer, vocabulary, before, after):
    """Special tokens at a text's ends, as TemplateProcessing spells them."""
    special = [(token, vocabulary["tokens"].index(token)) for token in before + after]
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=before + ["$A"] + after, pair=before + ["$A"] + after + ["$B:1"],
            special_tokens=special)
    return tokenizer


def split_byte_level(vocabulary, steps, ignore_merges=False):
    """As Llama 3, SmolLM and others have it: steps, then bytes."""
    merges = [tuple(merge.split(" ")) for merge in vocabulary["merges"]]
    tokenizer = Tokenizer(models.BPE(
        vocab=real_tokens(vocabulary), merges=merges, ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    add_tokens(tokenizer, vocabulary)
    return tokenizer


def of_class(name, vocabulary, normalized=False):
    merges = [tuple(merge.split(" ")) for merge in vocabulary["merges"]]
    made = getattr(transformers, name)(
        vocab=real_tokens(vocabulary), merges=merges, unk_token=None, bos_token=None,
        eos_token="<|im_end|>", pad_token=None)
    tokenizer = made.backend_tokenizer
    add_tokens(tokenizer, vocabulary, normalized)
    return tokenizer


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


TO_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2_WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
# Mistral's tekken.json has it under "pattern".
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def llama(vocabulary, prefix=True, turns=False):
    """Llama 2's tokenizer.json; `turns`: that of Mistral's models with [INST] tokens."""
    vocab = real_tokens(vocabulary)
    scores = {token: score for token, kind, score in zip(
        vocabulary["tokens"], vocabulary["types"], vocabulary["scores"]) if kind == NORMAL}
    tokenizer = Tokenizer(models.BPE(
        vocab=vocab, merges=generate_merges(vocab, scores), unk_token="<unk>", fuse_unk=True,
        byte_fallback=True))
    space = normalizers.Replace(" ", "\u2581")
    prepend = normalizers.Prepend("\u2581")
    if turns:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([prepend, space]) if prefix else space
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if prefix else []))
    add_tokens(tokenizer, vocabulary)
    return tokenizer


def fixture(tokenizer, vocabulary, of, texts, flags, before=(), after=()):
    """`of`: the vocabulary's file."""
    before, after = list(before), list(after)
    id_of = vocabulary["tokens"].index
    with_around(tokenizer, vocabulary, before, after)
    around = [[id_of(token) for token in tokens] for tokens in (before, after)]
    cases = {"ids": [], "decoded": [], "decoded_skipping": []}
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.encode(text).ids == around[0] + ids + around[1]
        cases["ids"].append(ids)
        for key, skip in (("decoded", False), ("decoded_skipping", True)):
            decoded = tokenizer.decode(ids, skip_special_tokens=skip)
            cases[key].append(None if decoded == text else decoded)
    rng = random.Random(5)
    size = len(vocabulary["tokens"]) + 2
    cases["random"] = []
    for _ in range(40):
        ids = [rng.randrange(rng.choice([size, 260])) for _ in range(rng.randrange(1, 20))]
        decoded = [tokenizer.decode(ids, skip_special_tokens=skip) for skip in (False, True)]
        cases["random"].append([ids, *decoded])
    return {"vocabulary": of, "texts": "texts", **flags,
            "before": around[0], "after": around[1], **cases}


def byte_level_fixtures(vocabulary, texts):
    begin, end = (vocabulary["tokens"].index(token) for token in ("<|begin|>", "<|im_end|>"))

    def fixed(tokenizer, pre, *around, **flags):
        flags = {"model": "gpt2", "pre": pre, "bos": begin, "eos": end, **flags}
        return fixture(tokenizer, vocabulary, "byte_level", texts, flags, *around)

    by_three = [split(SPLIT), TO_BYTES]
    digits = pre_tokenizers.Digits(individual_digits=True)
    cuts = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+"]
    code = [*map(split, cuts), digits, TO_BYTES]
    by_case = [split(TEKKEN), TO_BYTES]
    begins = ["<|begin|>"]
    return {
        "llama-bpe": fixed(split_byte_level(vocabulary, by_three, True), "llama-bpe", begins),
        "smaug-bpe": fixed(split_byte_level(vocabulary, by_three), "smaug-bpe"),
        "tekken": fixed(split_byte_level(vocabulary, by_case, True), "tekken", begins),
        "qwen2": fixed(of_class("Qwen2Tokenizer", vocabulary), "qwen2", add_bos=False),
        "olmo": fixed(of_class("GPTNeoXTokenizer", vocabulary, normalized=True), "olmo"),
        "gpt-2": fixed(of_class("GPT2Tokenizer", vocabulary), "gpt-2", begins, ["<|im_end|>"],
                       add_bos=True, add_eos=True),
        "smollm": fixed(split_byte_level(vocabulary, [digits, GPT2_WORDS]), "smollm"),
        "deepseek-coder": fixed(split_byte_level(vocabulary, code), "deepseek-coder", begins,
                                add_bos=True),
    }


def sentence_piece_fixtures(pieces, turns, texts):
    def fixed(tokenizer, vocabulary, of, after=(), **flags):
        flags = {"model": "llama", "pre": "default", "bos": 1, "eos": 2, "unk": 0, **flags}
        return fixture(tokenizer, vocabulary, of, texts, flags, ["<s>"], after)

    return {
        "llama": fixed(llama(pieces), pieces, "sentence_piece"),
        "llama_unprefixed": fixed(llama(pieces, prefix=False), pieces, "sentence_piece", ["</s>"],
                                  add_bos=True, add_eos=True, add_space_prefix=False),
        "mistral": fixed(llama(turns, turns=True), turns, "turn_pieces", add_bos=True),
    }


def write(name, value):
    (TESTDATA / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def kept(train):
    """Training is not the same from run to run, so a vocabulary that is there stays."""
    path = TESTDATA / f"{train.__name__}.json"
    if not path.exists():
        write(train.__name__, train())
    return json.loads(path.read_text())


def main():
    TESTDATA.mkdir(parents=True, exist_ok=True)
    texts = all_texts()
    write("texts", texts)
    pieces = kept(sentence_piece)
    turns = with_turns(pieces)
    write("turn_pieces", turns)
    made = byte_level_fixtures(kept(byte_level), texts)
    made |= sentence_piece_fixtures(pieces, turns, texts)
    for name, value in made.items():
        write(name, value)


if __name__ == "__main__":
    main()
