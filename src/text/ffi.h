// The C ABI of the Rust library sluice_text (src/text/rust). Only this folder's .cc files include
// it; everyone else uses the C++ face (tokenizer.h, detokenizer.h, chat_template.h, guide.h).
//
// Every function that can fail returns a sluice_text_status and fills a `reply`: the payload named
// in its comment when the status is 0, otherwise one sentence in UTF-8. The caller frees every
// reply with sluice_text_reply_free, whatever the status. A Rust panic becomes SLUICE_TEXT_FAULT;
// none unwinds through this boundary. Strings are pointer and length, never terminated. Handles are
// opaque, are freed once by their own function, and NULL may be freed. `const` handles may be
// shared by threads.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  SLUICE_TEXT_OK = 0,
  SLUICE_TEXT_INVALID = 1,      // the caller's input is wrong
  SLUICE_TEXT_UNSUPPORTED = 2,  // well formed, refused by name
  SLUICE_TEXT_LIMIT = 3,        // a named limit of size or work was met
  SLUICE_TEXT_TIMEOUT = 4,      // a limit of time was met
  SLUICE_TEXT_FAULT = 5,        // a bug in the library: a panic was caught
} sluice_text_status;

typedef struct {
  const uint8_t* data;  // may be NULL when size is 0
  size_t size;
} sluice_text_slice;

// Memory owned by Rust: `size` bytes at `data`; `capacity` belongs to the allocator. Token ids are
// little-endian int32 in bytes, to be copied out.
typedef struct {
  uint8_t* data;
  size_t size;
  size_t capacity;
} sluice_text_reply;

void sluice_text_reply_free(sluice_text_reply* reply);

// Tokenizer: text to token ids and back.

typedef struct sluice_text_tokenizer sluice_text_tokenizer;

// Reads a tokenizer.json. Truncation and padding settings in it are dropped, as transformers does
// unless it is asked for them. max_vocab: the highest token id allowed, plus one. cached_words:
// TokenizerLimits has the comment.
int32_t sluice_text_tokenizer_new(sluice_text_slice json, uint64_t max_vocab, size_t cached_words,
                                  sluice_text_tokenizer** tokenizer, sluice_text_reply* reply);

#define SLUICE_TEXT_NO_ID INT64_MIN

// The tokenizer.* keys of a GGUF file (gguf_vocabulary.h), each list as long as its count says.
typedef struct {
  sluice_text_slice model;
  sluice_text_slice pre;
  const sluice_text_slice* tokens;
  size_t token_count;
  const int32_t* types;
  size_t type_count;
  const float* scores;
  size_t score_count;
  const sluice_text_slice* merges;
  size_t merge_count;
  size_t max_merges;    // of those that are made from scores
  size_t cached_words;  // as of sluice_text_tokenizer_new
  int64_t bos;          // SLUICE_TEXT_NO_ID: the file names none
  int64_t eos;
  int64_t unk;
  int8_t add_bos;  // 0, 1; -1: the file does not say
  int8_t add_eos;
  int8_t add_space_prefix;
  int8_t remove_extra_whitespaces;
} sluice_text_gguf_vocabulary;

// Makes the tokenizer that the vocabulary was converted from. Keeps nothing of `vocabulary`.
int32_t sluice_text_tokenizer_from_gguf(const sluice_text_gguf_vocabulary* vocabulary,
                                        sluice_text_tokenizer** tokenizer,
                                        sluice_text_reply* reply);
void sluice_text_tokenizer_free(sluice_text_tokenizer* tokenizer);

// Payload: the ids. `text` must be UTF-8.
int32_t sluice_text_encode(const sluice_text_tokenizer* tokenizer, sluice_text_slice text,
                           uint8_t add_special_tokens, sluice_text_reply* reply);
// Payload: UTF-8. Ids outside of the vocabulary are passed over, as Hugging Face tokenizers does.
int32_t sluice_text_decode(const sluice_text_tokenizer* tokenizer, const uint32_t* ids,
                           size_t count, uint8_t skip_special_tokens, sluice_text_reply* reply);
// Payload: the bytes that the token stands for, which need not be UTF-8; empty for an unknown id.
int32_t sluice_text_token_bytes(const sluice_text_tokenizer* tokenizer, uint32_t id,
                                sluice_text_reply* reply);
// Payload: the token as tokenizer.json spells it; *found is 0 for an unknown id.
int32_t sluice_text_id_to_token(const sluice_text_tokenizer* tokenizer, uint32_t id, uint8_t* found,
                                sluice_text_reply* reply);
// The id, or -1.
int64_t sluice_text_token_to_id(const sluice_text_tokenizer* tokenizer, sluice_text_slice token);
// The highest id plus one.
size_t sluice_text_vocab_size(const sluice_text_tokenizer* tokenizer);
// Payload: the ids of the special added tokens, ascending.
int32_t sluice_text_special_ids(const sluice_text_tokenizer* tokenizer, sluice_text_reply* reply);

// Detokenizer: text as the tokens of one sequence come in.

typedef struct sluice_text_detokenizer sluice_text_detokenizer;

// Keeps its own reference to the tokenizer. max_held: tokens held back at most before their text is
// given out as it stands.
sluice_text_detokenizer* sluice_text_detokenizer_new(const sluice_text_tokenizer* tokenizer,
                                                     uint8_t skip_special_tokens, size_t max_held);
sluice_text_detokenizer* sluice_text_detokenizer_clone(const sluice_text_detokenizer* detokenizer);
void sluice_text_detokenizer_free(sluice_text_detokenizer* detokenizer);
// Payload: the text that this token completes, often empty.
int32_t sluice_text_detokenizer_push(sluice_text_detokenizer* detokenizer, uint32_t id,
                                     sluice_text_reply* reply);
// Payload: what was held back; the detokenizer is then as new.
int32_t sluice_text_detokenizer_finish(sluice_text_detokenizer* detokenizer,
                                       sluice_text_reply* reply);

// Chat templates: a conversation as the prompt that the model was trained on.

typedef struct sluice_text_template sluice_text_template;

typedef struct {
  uint64_t fuel;          // minijinja's: one per instruction and one per 64 bytes made or read
  uint64_t output_bytes;  // of the rendered prompt
  uint64_t wall_ms;       // of one rendering
} sluice_text_template_limits;

// Compiles Jinja source and finds out which shapes of `content` it understands.
int32_t sluice_text_template_new(sluice_text_slice source, sluice_text_template_limits limits,
                                 sluice_text_template** out, sluice_text_reply* reply);
void sluice_text_template_free(sluice_text_template* chat_template);
// 1 when the template itself walks a list of content parts.
uint8_t sluice_text_template_takes_parts(const sluice_text_template* chat_template);
// What a template is rendered with. The slices are JSON; an empty one is null. `variables` are
// objects: the special tokens (bos_token and the like), then the caller's own, which win.
typedef struct {
  sluice_text_slice messages;  // a list of objects
  sluice_text_slice tools;     // a list or null
  sluice_text_slice documents;
  sluice_text_slice special_tokens;
  sluice_text_slice variables;
  int64_t local_time_s;  // seconds since 1970 on the local clock, for strftime_now
  uint8_t add_generation_prompt;
} sluice_text_render_input;

// Payload: the rendered text.
int32_t sluice_text_template_render(const sluice_text_template* chat_template,
                                    sluice_text_render_input input, sluice_text_reply* reply);

// Guides: which tokens may come next.

typedef struct sluice_text_guides sluice_text_guides;
typedef struct sluice_text_guide sluice_text_guide;

typedef struct {
  uint64_t max_grammar_symbols;
  uint64_t compile_fuel;
  uint64_t step_fuel;
  uint64_t step_items;
  uint64_t max_row_items;
  uint64_t max_lexer_states;
} sluice_text_guide_limits;

// The trie of all tokens, built once. vocab_size may exceed the tokenizer's (a padded head): the
// ids beyond are never allowed. eos: at least one.
int32_t sluice_text_guides_new(const sluice_text_tokenizer* tokenizer, size_t vocab_size,
                               const uint32_t* eos, size_t eos_count,
                               sluice_text_guide_limits limits, sluice_text_guides** out,
                               sluice_text_reply* reply);
void sluice_text_guides_free(sluice_text_guides* guides);

// kind: 0 JSON schema (source is the schema), 1 regex, 2 choice (a JSON array of strings), 3 Lark.
int32_t sluice_text_guide_new(const sluice_text_guides* guides, uint32_t kind,
                              sluice_text_slice source, uint8_t whitespace_flexible,
                              sluice_text_guide** out, sluice_text_reply* reply);
sluice_text_guide* sluice_text_guide_clone(const sluice_text_guide* guide);
void sluice_text_guide_free(sluice_text_guide* guide);
// Fills `words` 32-bit words, bit i%32 of word i/32 set where token i may come next.
int32_t sluice_text_guide_mask(sluice_text_guide* guide, uint32_t* mask, size_t words,
                               sluice_text_reply* reply);
int32_t sluice_text_guide_accept(sluice_text_guide* guide, uint32_t id, sluice_text_reply* reply);
// 1 when the text so far is whole, so that an end-of-sequence token is allowed.
uint8_t sluice_text_guide_complete(sluice_text_guide* guide);

#ifdef __cplusplus
}
#endif
