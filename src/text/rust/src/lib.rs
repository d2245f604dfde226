//! The Rust half of sluice's room `text`: Hugging Face tokenizers, minijinja and llguidance behind the
//! C ABI that src/text/ffi.h documents.

mod abi;
mod detokenizer;
mod gguf_tokenizer;
mod gguf_vocabulary;
mod guide;
mod pre_tokenizers;
mod python_json;
mod python_str_methods;
mod python_text;
mod render_budget;
mod strftime;
mod template;
mod template_errors;
mod template_functions;
mod template_input;
mod template_namespace;
mod template_operators;
mod template_program;
mod token_bytes;
mod tokenizer;
