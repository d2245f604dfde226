//! Text out of a stream of tokens, whole characters only.
//!
//! Where decoding is the bytes of the tokens one after another (ByteLevel), the bytes are a stream and
//! only an unfinished character is held. Elsewhere a token's text may depend on its neighbours (a
//! leading space is stripped, byte tokens join into characters), so a short window of tokens is
//! decoded with and without the new one, and the difference is the piece. A run of byte tokens is
//! decided as a whole, as Hugging Face does: one bad byte turns all of the run into U+FFFD.

use std::sync::Arc;

use crate::abi::{answer, caught, Reply};
use crate::token_bytes::fallback_byte;
use crate::tokenizer::{Inner, Tokenizer};

#[derive(Clone)]
pub struct Detokenizer {
    tokenizer: Arc<Inner>,
    skip_special_tokens: bool,
    max_held: usize,
    /// ByteLevel: the bytes of an unfinished character.
    tail: Vec<u8>,
    /// Elsewhere: tokens already given out that give the next ones their context, then held ones.
    window: Vec<u32>,
    given: usize,
}

impl Detokenizer {
    fn push(&mut self, id: u32) -> String {
        let skipped = self.skip_special_tokens && self.tokenizer.is_special(id);
        if skipped {
            return String::new();
        }
        let Some(token) = self.tokenizer.hf.id_to_token(id) else {
            return String::new();
        };
        if self.tokenizer.decodes_bytes {
            self.tail.extend(self.tokenizer.bytes.of(&token));
            return take_characters(&mut self.tail);
        }
        self.window.push(id);
        if self.window.len() - self.given >= self.max_held {
            return self.take_window(self.torn_tokens());
        }
        let undecided =
            fallback_byte(&token).is_some() || self.decode(&self.window).ends_with('\u{FFFD}');
        if undecided {
            return String::new();
        }
        self.take_window(0)
    }

    /// A tokenizer whose decoder fails has no text to give; the place of it is marked.
    fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, false).unwrap_or_else(|_| "\u{FFFD}".to_string())
    }

    /// How many byte tokens at the window's end begin a character that they do not end.
    fn torn_tokens(&self) -> usize {
        let held = &self.window[self.given..];
        let tail: Vec<u8> = held
            .iter()
            .rev()
            .take(3)
            .map_while(|id| fallback_byte(&self.tokenizer.hf.id_to_token(*id)?))
            .collect();
        (1..=tail.len())
            .find(|count| {
                let bytes: Vec<u8> = tail[..*count].iter().rev().copied().collect();
                std::str::from_utf8(&bytes)
                    .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
            })
            .unwrap_or(0)
    }

    /// What the window decodes to beyond the tokens already given out, but for the last `kept` ones.
    fn take_window(&mut self, kept: usize) -> String {
        let end = self.window.len() - kept;
        let before = self.decode(&self.window[..self.given]);
        let text = self.decode(&self.window[..end]);
        let piece = match text.strip_prefix(before.as_str()) {
            Some(piece) => piece.to_string(),
            // The new tokens change text that is already out: they are told on their own.
            None => self.decode(&self.window[self.given..end]),
        };
        if piece.is_empty() && end < self.max_held {
            return piece;
        }
        self.window.drain(..self.given);
        self.given = self.window.len() - kept;
        piece
    }

    fn finish(&mut self) -> String {
        let mut piece = String::new();
        if !self.tail.is_empty() {
            piece = String::from_utf8_lossy(&self.tail).into_owned();
        } else if self.window.len() > self.given {
            piece = self.take_window(0);
        }
        self.tail.clear();
        self.window.clear();
        self.given = 0;
        piece
    }
}

/// Takes every decided character out of `bytes`: an invalid sequence becomes one U+FFFD, by the rule
/// of String::from_utf8_lossy; an unfinished one stays.
fn take_characters(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut at = 0;
    loop {
        match std::str::from_utf8(&bytes[at..]) {
            Ok(rest) => {
                text.push_str(rest);
                at = bytes.len();
                break;
            }
            Err(error) => {
                let valid = error.valid_up_to();
                text.push_str(&String::from_utf8_lossy(&bytes[at..at + valid]));
                at += valid;
                let Some(bad) = error.error_len() else { break };
                text.push('\u{FFFD}');
                at += bad;
            }
        }
    }
    bytes.drain(..at);
    text
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_detokenizer_new(
    tokenizer: *const Tokenizer,
    skip_special_tokens: u8,
    max_held: usize,
) -> *mut Detokenizer {
    Box::into_raw(Box::new(Detokenizer {
        tokenizer: Tokenizer::shared(tokenizer).clone(),
        skip_special_tokens: skip_special_tokens != 0,
        max_held: max_held.max(1),
        tail: Vec::new(),
        window: Vec::new(),
        given: 0,
    }))
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_detokenizer_clone(
    detokenizer: *const Detokenizer,
) -> *mut Detokenizer {
    let copy = caught(|| Ok(Box::into_raw(Box::new((*detokenizer).clone()))));
    copy.unwrap_or(std::ptr::null_mut())
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_detokenizer_free(detokenizer: *mut Detokenizer) {
    if !detokenizer.is_null() {
        drop(Box::from_raw(detokenizer));
    }
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_detokenizer_push(
    detokenizer: *mut Detokenizer,
    id: u32,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || Ok((*detokenizer).push(id).into_bytes()))
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_detokenizer_finish(
    detokenizer: *mut Detokenizer,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || Ok((*detokenizer).finish().into_bytes()))
}
