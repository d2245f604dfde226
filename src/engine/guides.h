// Compiled guides, kept because the lines of a batch mostly share one schema.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/request.h"
#include "text/guide.h"

namespace sluice::engine {

class Guides {
 public:
  static constexpr size_t kMaxKept = 64;

  // The tokenizer is borrowed; its trie is built at the first guide.
  Guides(const text::Tokenizer* tokenizer, int vocab, std::vector<int32_t> eos)
      : tokenizer_(tokenizer), vocab_(vocab), eos_(std::move(eos)) {}

  // A fresh guide, or nothing for a request without one.
  Result<std::optional<text::Guide>> make(const GuideSpec& spec);
  size_t mask_words() const { return factory_ ? factory_->mask_words() : 0; }

 private:
  const text::Tokenizer* tokenizer_;
  int vocab_;
  std::vector<int32_t> eos_;
  std::optional<text::GuideFactory> factory_;
  std::map<std::string, text::Guide> kept_;
};

}  // namespace sluice::engine
