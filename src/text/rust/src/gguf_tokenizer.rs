//! The tokenizer that a GGUF file's vocabulary was converted from.
//!
//! The conversion keeps tokens, their types, merges or scores, and a few flags; what it drops
//! (normalizer, pre-tokenizer, decoder) is the same for all tokenizers of one kind, and is put back
//! here as tokenizer.json has it.

use std::collections::HashMap;

use serde_json::{json, Value};
use tokenizers::models::bpe::{Vocab, BPE};
use tokenizers::AddedToken;

use crate::abi::{answer, Failure, Reply, Status};
use crate::gguf_vocabulary::{GgufVocabulary, Kind, Vocabulary};
use crate::pre_tokenizers::Words;
use crate::tokenizer::{Inner, Tokenizer};

/// SentencePiece's space.
const SPACE: &str = "\u{2581}";

/// The parts that differ by kind; the values are members of tokenizer.json.
struct Parts {
    model: BPE,
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    add_bos: bool,
}

type Merges = Vec<(String, String)>;

fn byte_level(vocabulary: &Vocabulary) -> Result<Parts, Failure> {
    let words = Words::find(vocabulary.pre)?;
    let by_text = vocabulary.by_text();
    let merges = listed_merges(vocabulary, &by_text)?;
    let model = BPE::builder()
        .vocab_and_merges(by_text, merges)
        .cache_capacity(vocabulary.cached_words)
        .ignore_merges(words.ignore_merges);
    Ok(Parts {
        model: built(model.build())?,
        normalizer: if words.nfc { json!({"type": "NFC"}) } else { Value::Null },
        pre_tokenizer: words.pre_tokenizer(),
        decoder: json!({
            "type": "ByteLevel",
            "add_prefix_space": false,
            "trim_offsets": true,
            "use_regex": true,
        }),
        add_bos: words.add_bos,
    })
}

fn listed_merges(vocabulary: &Vocabulary, by_text: &Vocab) -> Result<Merges, Failure> {
    let mut merges = Vec::with_capacity(vocabulary.merges.len());
    for (rank, merge) in vocabulary.merges.iter().enumerate() {
        let Some((left, right)) = merge.split_once(' ') else {
            let message =
                format!("merge {rank}, {merge:?}, is not two tokens with a space between");
            return Err(Failure::invalid(message));
        };
        let joined = format!("{left}{right}");
        for token in [left, right, joined.as_str()] {
            if !by_text.contains_key(token) {
                let message =
                    format!("merge {rank}, {merge:?}, needs {token:?}, which is no token");
                return Err(Failure::invalid(message));
            }
        }
        merges.push((left.to_string(), right.to_string()));
    }
    Ok(merges)
}

fn sentence_piece(vocabulary: &Vocabulary) -> Result<Parts, Failure> {
    if vocabulary.remove_extra_whitespaces == Some(true) {
        let message = "a GGUF vocabulary of the model 'llama' with remove_extra_whitespaces";
        return Err(Failure::new(Status::Unsupported, message.to_string() + " is not supported"));
    }
    let merges = scored_merges(vocabulary)?;
    let mut model = BPE::builder()
        .vocab_and_merges(vocabulary.by_text(), merges)
        .cache_capacity(vocabulary.cached_words)
        .fuse_unk(true)
        .byte_fallback(true);
    let typed =
        || vocabulary.real().find(|(_, token)| token.kind == Kind::Unknown).map(|(id, _)| id);
    if let Some(unk) = vocabulary.unk.or_else(typed) {
        model = model.unk_token(vocabulary.text(unk).to_string());
    }
    let prefix = vocabulary.add_space_prefix.unwrap_or(true);
    let (normalizer, pre_tokenizer) = spaces(prefix, has_turn_tokens(vocabulary));
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Ok(Parts {
        model: built(model.build())?,
        normalizer,
        pre_tokenizer,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        add_bos: true,
    })
}

/// Mistral's vocabularies since its second have the turns' marks as tokens of their own.
fn has_turn_tokens(vocabulary: &Vocabulary) -> bool {
    vocabulary.real().any(|(_, token)| token.kind == Kind::Control && token.text == "[INST]")
}

/// Where the space goes that SentencePiece puts before a text. Llama's conversion puts one before
/// each stretch of text between special tokens. Where turns are marked by tokens, templates spell
/// the space after a mark, and only the text's very start may get one.
fn spaces(prefix: bool, turn_tokens: bool) -> (Value, Value) {
    if turn_tokens {
        let scheme = if prefix { "first" } else { "never" };
        let metaspace = json!({
            "type": "Metaspace",
            "replacement": SPACE,
            "prepend_scheme": scheme,
            "split": false,
        });
        return (Value::Null, metaspace);
    }
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    if !prefix {
        return (replace, Value::Null);
    }
    let prepend = json!({"type": "Prepend", "prepend": SPACE});
    (json!({"type": "Sequence", "normalizers": [prepend, replace]}), Value::Null)
}

/// SentencePiece scores tokens where BPE ranks merges. A token's merges are all its cuts into two
/// tokens; the best token's come first, those of one score by the ids of their halves, which is the
/// order of Hugging Face's conversion of Llama.
fn scored_merges(vocabulary: &Vocabulary) -> Result<Merges, Failure> {
    if vocabulary.scores.len() != vocabulary.tokens.len() {
        return Err(Failure::invalid(format!(
            "the vocabulary has {} tokens and {} scores",
            vocabulary.tokens.len(),
            vocabulary.scores.len()
        )));
    }
    if let Some(id) = vocabulary.scores.iter().position(|score| score.is_nan()) {
        return Err(Failure::invalid(format!("the score of token {id} is not a number")));
    }
    let pieces: HashMap<&str, u32> = vocabulary
        .real()
        .filter(|(_, token)| token.kind == Kind::Normal)
        .map(|(id, token)| (token.text, id))
        .collect();
    let mut merges: Vec<(f32, u32, u32)> = Vec::new();
    for (piece, id) in &pieces {
        let score = vocabulary.scores[*id as usize];
        for (at, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(at);
            if let (Some(left), Some(right)) = (pieces.get(left), pieces.get(right)) {
                merges.push((score, *left, *right));
            }
        }
        if merges.len() > vocabulary.max_merges {
            return Err(vocabulary.too_many_merges());
        }
    }
    // No score is NaN, and -0 and 0 are the same.
    merges.sort_unstable_by(|a, b| {
        b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal).then((a.1, a.2).cmp(&(b.1, b.2)))
    });
    let text = |id| vocabulary.text(id).to_string();
    Ok(merges.into_iter().map(|(_, left, right)| (text(left), text(right))).collect())
}

fn built<T>(made: tokenizers::Result<T>) -> Result<T, Failure> {
    made.map_err(|e| Failure::invalid(format!("the GGUF vocabulary makes no tokenizer: {e}")))
}

/// What is put around an encoded text: BOS, EOS.
fn post_processor(vocabulary: &Vocabulary, default_bos: bool) -> Result<Value, Failure> {
    let bos = ("bos", vocabulary.add_bos.unwrap_or(default_bos), vocabulary.bos);
    let eos = ("eos", vocabulary.add_eos.unwrap_or(false), vocabulary.eos);
    let mut single = vec![json!({"Sequence": {"id": "A", "type_id": 0}})];
    let mut special = serde_json::Map::new();
    for (name, wanted, id) in [bos, eos] {
        if !wanted {
            continue;
        }
        let Some(id) = id else {
            let message = format!("prompts get a {name} token, and {name}_token_id is missing");
            return Err(Failure::invalid(message));
        };
        let text = vocabulary.text(id);
        let piece = json!({"SpecialToken": {"id": text, "type_id": 0}});
        single.insert(if name == "bos" { 0 } else { single.len() }, piece);
        special.insert(text.into(), json!({"id": text, "ids": [id], "tokens": [text]}));
    }
    if special.is_empty() {
        return Ok(Value::Null);
    }
    let second = json!({"Sequence": {"id": "B", "type_id": 1}});
    let pair = [single.clone(), vec![second]].concat();
    Ok(json!({
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": special,
    }))
}

/// Tokens that are found in the text before it is normalized and cut.
fn added_tokens(vocabulary: &Vocabulary) -> Vec<AddedToken> {
    vocabulary
        .real()
        .filter_map(|(_, token)| {
            let special = match token.kind {
                Kind::Control | Kind::Unknown => true,
                Kind::UserDefined => false,
                Kind::Normal | Kind::Unused | Kind::Byte => return None,
            };
            Some(AddedToken::from(token.text, special).normalized(false))
        })
        .collect()
}

fn tokenizer_of(vocabulary: &Vocabulary) -> Result<Inner, Failure> {
    let parts = match vocabulary.model {
        "gpt2" => byte_level(vocabulary)?,
        "llama" => sentence_piece(vocabulary)?,
        other => {
            let message = format!("the tokenizer model '{other}' of a GGUF file is not supported");
            return Err(Failure::new(Status::Unsupported, message));
        }
    };
    let around_model = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": post_processor(vocabulary, parts.add_bos)?,
        "decoder": parts.decoder,
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    });
    let mut hf = built(tokenizers::Tokenizer::from_bytes(around_model.to_string()))?;
    hf.with_model(parts.model);
    built(hf.add_tokens(added_tokens(vocabulary)))?;
    Inner::of(hf, &parts.decoder, "the GGUF vocabulary")
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_tokenizer_from_gguf(
    vocabulary: *const GgufVocabulary,
    tokenizer: *mut *mut Tokenizer,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        let vocabulary = Vocabulary::read(&*vocabulary)?;
        tokenizer.write(Tokenizer::handle(tokenizer_of(&vocabulary)?));
        Ok(Vec::new())
    })
}
