//! A tokenizer, immutable once read: tokenizer.json here, a GGUF vocabulary in gguf_tokenizer.rs.

use std::sync::Arc;

use serde_json::Value;

use crate::abi::{answer, caught, ids_payload, words, Failure, Reply, Slice, Status};
use crate::token_bytes::TokenBytes;

/// What the library gives a model that it reads from JSON.
const USUAL_CACHED_WORDS: usize = 10_000;

pub struct Inner {
    pub hf: tokenizers::Tokenizer,
    pub bytes: TokenBytes,
    /// The decoder is ByteLevel alone: decoding is the bytes of the tokens, one after another.
    pub decodes_bytes: bool,
    pub vocab_size: usize,
    pub special_ids: Vec<u32>,
}

impl Inner {
    fn from_json(json: &[u8], max_vocab: u64, cached_words: usize) -> Result<Inner, Failure> {
        let tree: Value = serde_json::from_slice(json)
            .map_err(|e| Failure::invalid(format!("tokenizer.json is not JSON: {e}")))?;
        check_ids(&tree, max_vocab)?;
        let mut hf = tokenizers::Tokenizer::from_bytes(json).map_err(|e| {
            Failure::invalid(format!("tokenizer.json is not a tokenizer that sluice reads: {e}"))
        })?;
        if cached_words != USUAL_CACHED_WORDS {
            let mut model = hf.get_model().clone();
            model.resize_cache(cached_words);
            hf.with_model(model);
        }
        hf.with_padding(None);
        hf.with_truncation(None).map_err(|e| Failure::invalid(e.to_string()))?;
        Inner::of(hf, &tree["decoder"], "tokenizer.json").and_then(|inner| {
            check_vocab(inner.vocab_size as u64 - 1, max_vocab)?;
            Ok(inner)
        })
    }

    /// `decoder` is the "decoder" member of tokenizer.json; `what` the tokenizer was read from.
    pub fn of(hf: tokenizers::Tokenizer, decoder: &Value, what: &str) -> Result<Inner, Failure> {
        let highest = hf.get_vocab(true).into_values().max();
        let vocab_size = highest.map_or(0, |id| id as usize + 1);
        if vocab_size == 0 {
            return Err(Failure::invalid(format!("{what} has no tokens")));
        }
        // A post_processor may name special tokens that it does not define, which panics.
        caught(|| hf.encode("", true).map_err(|e| Failure::invalid(e.to_string()))).map_err(
            |e| Failure::invalid(format!("{what} cannot encode any text: {}", e.message)),
        )?;
        let mut special_ids: Vec<u32> = hf
            .get_added_tokens_decoder()
            .into_iter()
            .filter_map(|(id, token)| token.special.then_some(id))
            .collect();
        special_ids.sort_unstable();
        Ok(Inner {
            hf,
            bytes: TokenBytes::from_decoder(decoder),
            decodes_bytes: decoder["type"] == "ByteLevel",
            vocab_size,
            special_ids,
        })
    }

    pub fn is_special(&self, id: u32) -> bool {
        self.special_ids.binary_search(&id).is_ok()
    }

    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        self.hf.id_to_token(id).map_or_else(Vec::new, |token| self.bytes.of(&token))
    }

    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, Failure> {
        self.hf
            .decode(ids, skip_special_tokens)
            .map_err(|e| Failure::invalid(format!("cannot decode {} tokens: {e}", ids.len())))
    }
}

fn check_vocab(id: u64, max_vocab: u64) -> Result<(), Failure> {
    if id < max_vocab {
        return Ok(());
    }
    let message = format!("tokenizer.json has token id {id}, the limit of ids is {max_vocab}");
    Err(Failure::new(Status::Limit, message))
}

/// Refuses absurd ids before anything is sized by them.
fn check_ids(tree: &Value, max_vocab: u64) -> Result<(), Failure> {
    let added = tree["added_tokens"].as_array().into_iter().flatten().map(|token| &token["id"]);
    let vocab = tree["model"]["vocab"].as_object().into_iter().flatten().map(|(_, id)| id);
    for id in added.chain(vocab).filter_map(Value::as_u64) {
        check_vocab(id, max_vocab)?;
    }
    Ok(())
}

pub struct Tokenizer(Arc<Inner>);

impl Tokenizer {
    /// Owned by the caller, who frees it with sluice_text_tokenizer_free.
    pub fn handle(inner: Inner) -> *mut Tokenizer {
        Box::into_raw(Box::new(Tokenizer(Arc::new(inner))))
    }

    /// # Safety
    /// `handle` is alive, and stays so during 'a.
    pub unsafe fn shared<'a>(handle: *const Tokenizer) -> &'a Arc<Inner> {
        let tokenizer = &*handle;
        &tokenizer.0
    }
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_tokenizer_new(
    json: Slice,
    max_vocab: u64,
    cached_words: usize,
    tokenizer: *mut *mut Tokenizer,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        let inner = Inner::from_json(json.bytes(), max_vocab, cached_words)?;
        tokenizer.write(Tokenizer::handle(inner));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_encode(
    tokenizer: *const Tokenizer,
    text: Slice,
    add_special_tokens: u8,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        let text = text.text("the text to tokenize")?;
        let encoding = Tokenizer::shared(tokenizer)
            .hf
            .encode_fast(text, add_special_tokens != 0)
            .map_err(|e| Failure::invalid(format!("cannot tokenize: {e}")))?;
        Ok(ids_payload(encoding.get_ids()))
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_decode(
    tokenizer: *const Tokenizer,
    ids: *const u32,
    count: usize,
    skip_special_tokens: u8,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        let text =
            Tokenizer::shared(tokenizer).decode(words(ids, count), skip_special_tokens != 0)?;
        Ok(text.into_bytes())
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_token_bytes(
    tokenizer: *const Tokenizer,
    id: u32,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || Ok(Tokenizer::shared(tokenizer).token_bytes(id)))
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_id_to_token(
    tokenizer: *const Tokenizer,
    id: u32,
    found: *mut u8,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        let token = Tokenizer::shared(tokenizer).hf.id_to_token(id);
        found.write(token.is_some() as u8);
        Ok(token.unwrap_or_default().into_bytes())
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_token_to_id(tokenizer: *const Tokenizer, token: Slice) -> i64 {
    let found = crate::abi::caught(|| {
        Ok(Tokenizer::shared(tokenizer).hf.token_to_id(token.text("the token")?))
    });
    found.ok().flatten().map_or(-1, i64::from)
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_vocab_size(tokenizer: *const Tokenizer) -> usize {
    Tokenizer::shared(tokenizer).vocab_size
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_special_ids(
    tokenizer: *const Tokenizer,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || Ok(ids_payload(&Tokenizer::shared(tokenizer).special_ids)))
}
