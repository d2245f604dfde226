//! Guided decoding: which tokens may come next, by llguidance.

use std::sync::Arc;

use llguidance::api::{GrammarWithLexer, ParserLimits, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::{Matcher, ParserFactory};
use serde_json::{json, Value};
use toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};

use crate::abi::{answer, caught, words, Failure, Reply, Slice, Status};
use crate::tokenizer::{Inner, Tokenizer};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Limits {
    max_grammar_symbols: u64,
    compile_fuel: u64,
    step_fuel: u64,
    step_items: u64,
    max_row_items: u64,
    max_lexer_states: u64,
}

pub struct Guides {
    factory: ParserFactory,
    vocab_size: usize,
}

#[derive(Clone)]
pub struct Guide {
    matcher: Matcher,
    vocab_size: usize,
}

impl Guides {
    fn new(
        tokenizer: &Inner,
        vocab_size: usize,
        eos: &[u32],
        limits: Limits,
    ) -> Result<Guides, Failure> {
        if vocab_size < tokenizer.vocab_size {
            let have = tokenizer.vocab_size;
            return Err(Failure::invalid(format!(
                "the model's vocabulary of {vocab_size} is smaller than the tokenizer's {have}"
            )));
        }
        let Some(&first_eos) = eos.first() else {
            return Err(Failure::invalid("guided decoding needs an end-of-sequence token"));
        };
        if let Some(bad) = eos.iter().find(|id| **id as usize >= vocab_size) {
            return Err(Failure::invalid(format!(
                "end-of-sequence token {bad} is outside of the vocabulary of {vocab_size}"
            )));
        }
        let info = TokRxInfo::new(vocab_size as u32, first_eos);
        let trie = TokTrie::from(&info, &token_table(tokenizer, vocab_size, eos));
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie.with_eos_tokens(eos)));
        let slices = SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &slices)
            .map_err(|e| Failure::new(Status::Fault, format!("guided decoding: {e}")))?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits {
            max_items_in_row: limits.max_row_items as usize,
            initial_lexer_fuel: limits.compile_fuel,
            step_lexer_fuel: limits.step_fuel,
            step_max_items: limits.step_items as usize,
            max_lexer_states: limits.max_lexer_states as usize,
            max_grammar_size: limits.max_grammar_symbols as usize,
            precompute_large_lexemes: true,
            verbose_errors: false,
        };
        Ok(Guides { factory, vocab_size })
    }

    fn guide(&self, kind: u32, source: &str, flexible: bool) -> Result<Guide, Failure> {
        let grammar = match kind {
            0 => GrammarWithLexer::from_json_schema(schema(source, flexible)?),
            1 => GrammarWithLexer::from_regex(source),
            2 => GrammarWithLexer::from_lark(choice_grammar(source)?),
            3 => GrammarWithLexer::from_lark(source.to_string()),
            _ => return Err(Failure::invalid(format!("unknown kind of guide {kind}"))),
        };
        let parser = self.factory.create_parser(TopLevelGrammar::from_grammar(grammar));
        let matcher = Matcher::new(parser);
        match matcher.get_error() {
            Some(error) => Err(refused(&error)),
            None => Ok(Guide { matcher, vocab_size: self.vocab_size }),
        }
    }
}

/// The bytes of every token. Special tokens carry toktrie's marker, so that no grammar takes their
/// spelling for text; ids without a token stay empty and are never allowed.
fn token_table(tokenizer: &Inner, vocab_size: usize, eos: &[u32]) -> Vec<Vec<u8>> {
    let mut table: Vec<Vec<u8>> = vec![Vec::new(); vocab_size];
    for (id, bytes) in table.iter_mut().enumerate().take(tokenizer.vocab_size) {
        let id = id as u32;
        let token = tokenizer.token_bytes(id);
        if tokenizer.is_special(id) || eos.contains(&id) {
            bytes.push(TokTrie::SPECIAL_TOKEN_MARKER);
        }
        bytes.extend(token);
    }
    table
}

fn schema(source: &str, flexible: bool) -> Result<Value, Failure> {
    let mut schema: Value = serde_json::from_str(source)
        .map_err(|e| Failure::invalid(format!("the JSON schema is not JSON: {e}")))?;
    if schema == Value::Bool(true) {
        schema = json!({});
    }
    let Some(members) = schema.as_object_mut() else {
        return Err(Failure::invalid("the JSON schema is neither an object nor true"));
    };
    // Compiler options are the program's to set, not the schema's.
    let mut options = json!({"whitespace_flexible": flexible});
    if !flexible {
        options["item_separator"] = json!(", ");
        options["key_separator"] = json!(": ");
    }
    members.insert("x-guidance".to_string(), options);
    Ok(schema)
}

fn choice_grammar(source: &str) -> Result<String, Failure> {
    let choices: Vec<String> = serde_json::from_str(source)
        .map_err(|e| Failure::invalid(format!("choice is not a list of strings: {e}")))?;
    if choices.is_empty() || choices.iter().any(String::is_empty) {
        return Err(Failure::invalid("choice needs at least one string, none of them empty"));
    }
    let quoted: Vec<String> =
        choices.iter().map(|choice| Value::from(choice.as_str()).to_string()).collect();
    Ok(format!("start: {}", quoted.join(" | ")))
}

fn refused(error: &str) -> Failure {
    let first = error.lines().next().unwrap_or_default();
    let limits = ["fuel", "limit", "too large", "too many", "too complex", "exceed", "overflow"];
    let met = limits.iter().any(|word| first.to_lowercase().contains(word));
    let status = if met { Status::Limit } else { Status::Invalid };
    Failure::new(status, format!("guided decoding: {first}"))
}

impl Guide {
    fn mask(&mut self, mask: &mut [u32]) -> Result<(), Failure> {
        let need = self.vocab_size.div_ceil(32);
        if mask.len() < need {
            return Err(Failure::invalid(format!("a mask of {} words, {need} needed", mask.len())));
        }
        let allowed = self.matcher.compute_mask_or_eos().map_err(|e| refused(&e.to_string()))?;
        mask.fill(0);
        for (to, from) in mask.iter_mut().zip(allowed.as_slice()) {
            *to = *from;
        }
        clear_beyond(mask, self.vocab_size);
        Ok(())
    }

    fn accept(&mut self, id: u32) -> Result<(), Failure> {
        if self.matcher.is_stopped() && !self.matcher.is_error() {
            let is_eos =
                self.matcher.tok_env().is_ok_and(|env| env.tok_trie().eos_tokens().contains(&id));
            if is_eos {
                return Ok(());
            }
            return Err(Failure::invalid(format!(
                "token {id} comes after the end of the guided text"
            )));
        }
        if id as usize >= self.vocab_size {
            let size = self.vocab_size;
            return Err(Failure::invalid(format!(
                "token {id} is outside of the vocabulary of {size}"
            )));
        }
        match self.matcher.try_consume_tokens(&[id]) {
            Ok(1) => Ok(()),
            Ok(_) => Err(Failure::invalid(format!("token {id} does not follow the guide"))),
            Err(error) => Err(refused(&error.to_string())),
        }
    }
}

fn clear_beyond(mask: &mut [u32], vocab_size: usize) {
    let whole = vocab_size / 32;
    let mut rest = whole;
    if !vocab_size.is_multiple_of(32) {
        mask[whole] &= (1u32 << (vocab_size % 32)) - 1;
        rest += 1;
    }
    mask[rest..].fill(0);
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_guides_new(
    tokenizer: *const Tokenizer,
    vocab_size: usize,
    eos: *const u32,
    eos_count: usize,
    limits: Limits,
    out: *mut *mut Guides,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        let guides =
            Guides::new(Tokenizer::shared(tokenizer), vocab_size, words(eos, eos_count), limits)?;
        out.write(Box::into_raw(Box::new(guides)));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_guides_free(guides: *mut Guides) {
    if !guides.is_null() {
        drop(Box::from_raw(guides));
    }
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_guide_new(
    guides: *const Guides,
    kind: u32,
    source: Slice,
    whitespace_flexible: u8,
    out: *mut *mut Guide,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        let source = source.text("the guide")?;
        let guide = (*guides).guide(kind, source, whitespace_flexible != 0)?;
        out.write(Box::into_raw(Box::new(guide)));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_guide_clone(guide: *const Guide) -> *mut Guide {
    let copy = caught(|| Ok(Box::into_raw(Box::new((*guide).clone()))));
    copy.unwrap_or(std::ptr::null_mut())
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_guide_free(guide: *mut Guide) {
    if !guide.is_null() {
        drop(Box::from_raw(guide));
    }
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_guide_mask(
    guide: *mut Guide,
    mask: *mut u32,
    size: usize,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        (*guide).mask(std::slice::from_raw_parts_mut(mask, size))?;
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_guide_accept(
    guide: *mut Guide,
    id: u32,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        (*guide).accept(id)?;
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_guide_complete(guide: *mut Guide) -> u8 {
    let complete = caught(|| {
        let matcher = &mut (*guide).matcher;
        Ok(!matcher.is_error() && (matcher.is_stopped() || matcher.is_accepting().unwrap_or(false)))
    });
    complete.unwrap_or(false) as u8
}
