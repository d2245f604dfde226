//! How the byte-level vocabularies of GGUF files cut text into words before they merge bytes.
//!
//! A GGUF file holds a name (tokenizer.ggml.pre) where tokenizer.json holds the rules. Each entry has
//! the rules of the tokenizer.json that the name stands for; a name without an entry is refused.

use serde_json::{json, Value};

use crate::abi::{Failure, Status};

/// The rules of one name.
#[derive(Clone, Copy)]
pub struct Words {
    /// Regular expressions; each cuts what the ones before it left whole.
    cuts: &'static [&'static str],
    /// Every digit is a word.
    single_digits: bool,
    /// GPT-2's own expression, last, on what is left.
    gpt2: bool,
    /// Text is composed (Unicode's NFC) first.
    pub nfc: bool,
    /// A word that is a token is that token, whatever the merges would make of it.
    pub ignore_merges: bool,
    /// Where the file does not say whether a prompt begins with the BOS token.
    pub add_bos: bool,
}

const PLAIN: Words = Words {
    cuts: &[],
    single_digits: false,
    gpt2: false,
    nfc: false,
    ignore_merges: false,
    add_bos: false,
};
const GPT2: Words = Words { gpt2: true, ..PLAIN };

/// Contractions, words with what stands before them, digits in threes, punctuation with the line
/// ends after it, white space.
const CUT_BY_3_DIGITS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
/// The same with digits one by one.
const CUT_BY_DIGIT: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
/// Words end where lower case turns to upper case; a slash may end punctuation.
const CUT_BY_CASE: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
/// Letters of scripts that have upper and lower case.
const CASED_LETTERS: &str = concat!(
    r"\s?[",
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕ",
    "ἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳ",
    "Ꙁ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃",
    "]+"
);
/// ASCII, full-width and general punctuation.
const PUNCTUATION: &str = r"\s?[!-/:-~！-／：-～‘-‟　-。]+";
const CJK: &str = "[一-龥ࠀ-一가-\u{D7FF}]+";

impl Words {
    pub fn find(pre: &str) -> Result<Words, Failure> {
        Ok(match pre {
            "llama-bpe" | "llama3" | "llama-v3" => {
                Words { cuts: &[CUT_BY_3_DIGITS], ignore_merges: true, add_bos: true, ..PLAIN }
            }
            "smaug-bpe" | "dbrx" => Words { cuts: &[CUT_BY_3_DIGITS], ..PLAIN },
            "qwen2" => Words { cuts: &[CUT_BY_DIGIT], nfc: true, ..PLAIN },
            "tekken" => Words { cuts: &[CUT_BY_CASE], ignore_merges: true, add_bos: true, ..PLAIN },
            "gpt-2" => GPT2,
            "olmo" => Words { nfc: true, ..GPT2 },
            "starcoder" | "refact" | "smollm" => Words { single_digits: true, ..GPT2 },
            "deepseek-coder" => Words {
                cuts: &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK],
                single_digits: true,
                ..PLAIN
            },
            "deepseek-llm" => Words {
                cuts: &[r"[\r\n]", CASED_LETTERS, PUNCTUATION, r"\s+$", CJK],
                single_digits: true,
                ..PLAIN
            },
            "" | "default" => return Err(unnamed()),
            other => {
                let message = format!("the pre-tokenizer '{other}' of a GGUF vocabulary");
                return Err(Failure::new(
                    Status::Unsupported,
                    message + " is not one that sluice knows",
                ));
            }
        })
    }

    /// The "pre_tokenizer" member of tokenizer.json.
    pub fn pre_tokenizer(&self) -> Value {
        let mut steps: Vec<Value> = self
            .cuts
            .iter()
            .map(|cut| {
                let pattern = json!({ "Regex": cut });
                json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false})
            })
            .collect();
        if self.single_digits {
            steps.push(json!({"type": "Digits", "individual_digits": true}));
        }
        steps.push(json!({
            "type": "ByteLevel",
            "add_prefix_space": false,
            "trim_offsets": true,
            "use_regex": self.gpt2,
        }));
        json!({"type": "Sequence", "pretokenizers": steps})
    }
}

fn unnamed() -> Failure {
    let message =
        "the GGUF vocabulary does not name its pre-tokenizer (tokenizer.ggml.pre), as files \
                   of before May 2024 do not; convert the model again";
    Failure::new(Status::Unsupported, message)
}
