//! The Rust half of sluice's room `text`: Hugging Face tokenizers, minijinja and llguidance behind the
//! C ABI that src/text/ffi.h documents.

mod abi;
mod detokenizer;
mod guide;
mod python_text;
mod strftime;
mod template;
mod template_functions;
mod template_operators;
mod token_bytes;
mod tokenizer;
