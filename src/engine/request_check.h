// What a request may ask for.
#pragma once

#include "base/error.h"
#include "engine/request.h"

namespace sluice::engine {

constexpr int kMaxChoices = 128;  // n
constexpr int kMaxLogprobs = 20;  // alternatives per token
constexpr size_t kMaxStopStrings = 64;
constexpr size_t kMaxStopBytes = 1024;  // of one stop string
constexpr size_t kMaxLogitBias = 1024;  // entries

struct RequestLimits {
  int vocab = 0;
  int64_t max_seq_len = 0;
  bool has_tokenizer = false;
};

// Errors name the field, as the OpenAI API calls it, and its range.
Status check_request(const Request& request, const RequestLimits& limits);

}  // namespace sluice::engine
