// Guided decoding: which tokens keep the output inside a JSON schema, a regex, a list of choices or
// a grammar. By llguidance.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

struct sluice_text_guide;
struct sluice_text_guides;

namespace sluice::text {

struct GuideLimits {
  size_t source_bytes = size_t{1} << 20;   // of a schema, regex, list or grammar
  size_t json_depth = 64;                  // of a schema's nesting
  uint64_t max_grammar_symbols = 500'000;  // of the compiled grammar
  uint64_t compile_fuel = 1'000'000;       // regex nodes made while compiling
  uint64_t step_fuel = 200'000;            // lexer work for one mask
  uint64_t step_items = 50'000;            // parser items for one mask
  uint64_t max_row_items = 2'000;          // parser items at one byte
  uint64_t max_lexer_states = 50'000;      // of one guide
};

// What the output must be.
struct GuideSpec {
  enum class Kind { kJsonObject, kJsonSchema, kRegex, kChoice, kLark };
  Kind kind = Kind::kJsonObject;
  std::string source;                // the schema, the regex or the grammar
  std::vector<std::string> choices;  // for kChoice: at least one, none empty
  // JSON: true lets white space stand wherever JSON lets it, as a model likes; a small model may
  // lose itself in it. false takes only ", " and ": " and no line breaks.
  bool whitespace_flexible = true;
};

// The state of one sequence. Copies are independent and cheap.
class Guide {
 public:
  Guide(const Guide& other);
  Guide& operator=(const Guide& other);
  Guide(Guide&&) noexcept;
  Guide& operator=(Guide&&) noexcept;
  ~Guide();

  // Sets bit i%32 of word i/32 where token i may come next; clears all others. bitmask: at least
  // ceil(vocab_size / 32) words. The end-of-sequence tokens are allowed when the output is whole,
  // and alone when nothing may follow. kInvalid when a step's limit is met: the guide is then
  // spent.
  Status mask(std::span<uint32_t> bitmask);
  // Takes the chosen token. kInvalid when the mask does not allow it.
  Status accept(int32_t token);
  // Whether the output so far is whole: it may stop here.
  bool is_complete() const;

 private:
  friend class GuideFactory;
  struct Free {
    void operator()(sluice_text_guide* handle) const;
  };
  explicit Guide(sluice_text_guide* handle) : handle_(handle) {}
  std::unique_ptr<sluice_text_guide, Free> handle_;
};

// Holds the trie of a vocabulary, built once. Threads may make guides at the same time.
class GuideFactory {
 public:
  // vocab_size: the model's, which may be larger than the tokenizer's; ids beyond are never
  // allowed. eos: the ids that end a sequence; at least one.
  static Result<GuideFactory> make(const Tokenizer& tokenizer, int32_t vocab_size,
                                   std::span<const int32_t> eos, GuideLimits limits = {});

  // kInvalid: not a schema, regex or grammar, or one that meets a limit; kUnsupported by name.
  Result<Guide> guide(const GuideSpec& spec) const;

  int32_t vocab_size() const { return vocab_size_; }
  // Words of a mask.
  size_t mask_words() const { return (static_cast<size_t>(vocab_size_) + 31) / 32; }

 private:
  GuideFactory() = default;
  std::shared_ptr<sluice_text_guides> handle_;
  GuideLimits limits_;
  int32_t vocab_size_ = 0;
};

}  // namespace sluice::text
