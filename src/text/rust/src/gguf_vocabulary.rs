//! What a GGUF file says of its tokenizer: as it crosses the C boundary, and once it is checked.

use std::collections::HashMap;

use tokenizers::models::bpe::Vocab;

use crate::abi::{Failure, Slice, Status};

/// SLUICE_TEXT_NO_ID.
const NO_ID: i64 = i64::MIN;

/// ffi.h has the comments.
#[repr(C)]
pub struct GgufVocabulary {
    model: Slice,
    pre: Slice,
    tokens: *const Slice,
    token_count: usize,
    types: *const i32,
    type_count: usize,
    scores: *const f32,
    score_count: usize,
    merges: *const Slice,
    merge_count: usize,
    max_merges: usize,
    cached_words: usize,
    bos: i64,
    eos: i64,
    unk: i64,
    add_bos: i8,
    add_eos: i8,
    add_space_prefix: i8,
    remove_extra_whitespaces: i8,
}

/// The numbers of tokenizer.ggml.token_type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    fn of(number: i32) -> Option<Kind> {
        Some(match number {
            0 | 1 => Kind::Normal,
            2 => Kind::Unknown,
            3 => Kind::Control,
            4 => Kind::UserDefined,
            5 => Kind::Unused,
            6 => Kind::Byte,
            _ => return None,
        })
    }
}

pub struct Token<'a> {
    pub text: &'a str,
    pub kind: Kind,
}

impl Token<'_> {
    /// Fills the vocabulary up to the size of the model's head and stands for nothing.
    pub fn is_filler(&self) -> bool {
        self.kind == Kind::Unused || self.text.is_empty()
    }
}

/// Every id is in range, every string UTF-8, no two tokens are the same.
pub struct Vocabulary<'a> {
    pub model: &'a str,
    /// Empty where the file has none.
    pub pre: &'a str,
    /// By id.
    pub tokens: Vec<Token<'a>>,
    /// By id; empty where the file has none.
    pub scores: &'a [f32],
    pub merges: Vec<&'a str>,
    pub max_merges: usize,
    pub cached_words: usize,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub unk: Option<u32>,
    pub add_bos: Option<bool>,
    pub add_eos: Option<bool>,
    pub add_space_prefix: Option<bool>,
    pub remove_extra_whitespaces: Option<bool>,
}

/// # Safety
/// `data` points at `count` readable values that outlive 'a.
unsafe fn list<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, count)
    }
}

fn told(flag: i8) -> Option<bool> {
    (flag >= 0).then_some(flag != 0)
}

fn id_of(id: i64, what: &str, tokens: &[Token]) -> Result<Option<u32>, Failure> {
    if id == NO_ID {
        return Ok(None);
    }
    let count = tokens.len();
    let Some(token) = usize::try_from(id).ok().and_then(|id| tokens.get(id)) else {
        let message = format!("{what} is {id}, the vocabulary has {count} tokens");
        return Err(Failure::invalid(message));
    };
    if token.is_filler() {
        return Err(Failure::invalid(format!("{what} is {id}, which is an unused token")));
    }
    Ok(Some(id as u32))
}

impl<'a> Vocabulary<'a> {
    /// # Safety
    /// What `raw` points at is readable and outlives 'a.
    pub unsafe fn read(raw: &GgufVocabulary) -> Result<Vocabulary<'a>, Failure> {
        let texts = list(raw.tokens, raw.token_count);
        let types = list(raw.types, raw.type_count);
        let count = texts.len();
        if types.len() != count {
            return Err(Failure::invalid(format!(
                "the vocabulary has {count} tokens and {} token types",
                types.len()
            )));
        }
        let mut tokens = Vec::with_capacity(count);
        for (id, (text, number)) in texts.iter().zip(types).enumerate() {
            let text = text.text(&format!("token {id}"))?;
            let kind = Kind::of(*number).ok_or_else(|| {
                Failure::invalid(format!("token {id} has type {number}, which no token has"))
            })?;
            tokens.push(Token { text, kind });
        }
        let mut merges = Vec::with_capacity(raw.merge_count);
        for (rank, merge) in list(raw.merges, raw.merge_count).iter().enumerate() {
            merges.push(merge.text(&format!("merge {rank}"))?);
        }
        let [bos, eos, unk] = [
            id_of(raw.bos, "bos_token_id", &tokens)?,
            id_of(raw.eos, "eos_token_id", &tokens)?,
            id_of(raw.unk, "unknown_token_id", &tokens)?,
        ];
        let vocabulary = Vocabulary {
            model: raw.model.text("the tokenizer's model")?,
            pre: raw.pre.text("the pre-tokenizer's name")?,
            tokens,
            scores: list(raw.scores, raw.score_count),
            merges,
            max_merges: raw.max_merges,
            cached_words: raw.cached_words,
            bos,
            eos,
            unk,
            add_bos: told(raw.add_bos),
            add_eos: told(raw.add_eos),
            add_space_prefix: told(raw.add_space_prefix),
            remove_extra_whitespaces: told(raw.remove_extra_whitespaces),
        };
        vocabulary.check_unique()?;
        Ok(vocabulary)
    }

    fn check_unique(&self) -> Result<(), Failure> {
        let mut seen: HashMap<&str, u32> = HashMap::with_capacity(self.tokens.len());
        for (id, token) in self.real() {
            if let Some(before) = seen.insert(token.text, id) {
                let message = format!("tokens {before} and {id} are both {:?}", token.text);
                return Err(Failure::invalid(message));
            }
        }
        Ok(())
    }

    /// The tokens that are no fillers, with their ids.
    pub fn real(&self) -> impl Iterator<Item = (u32, &Token<'a>)> {
        self.tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| !token.is_filler())
            .map(|(id, token)| (id as u32, token))
    }

    pub fn text(&self, id: u32) -> &'a str {
        self.tokens[id as usize].text
    }

    /// The real tokens as the `tokenizers` library keeps them.
    pub fn by_text(&self) -> Vocab {
        self.real().map(|(id, token)| (token.text.to_string(), id)).collect()
    }

    pub fn too_many_merges(&self) -> Failure {
        let message = format!(
            "the vocabulary has more merges than its limit, merges, of {}",
            self.max_merges
        );
        Failure::new(Status::Limit, message)
    }
}
