#include "cli/batch_lengths.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <tuple>

#include "base/json.h"
#include "batch/line_reader.h"

namespace sluice::cli {
namespace {

// Without a tokenizer text counts as about so many bytes of English to a token.
constexpr double kBytesPerToken = 4;
// What a chat template adds to a message, about.
constexpr int64_t kTemplateTokens = 8;
// Pieces of a file that is not read whole.
constexpr int64_t kPieces = 64;

class Counter {
 public:
  Counter(const text::Tokenizer* tokenizer, int64_t default_max_tokens, int64_t text_bytes)
      : tokenizer_(tokenizer), default_max_tokens_(default_max_tokens), text_bytes_(text_bytes) {}

  planner::Lengths lengths(const Json& line) {
    const Json& body = line.contains("body") && line["body"].is_object() ? line["body"] : line;
    int64_t prompt = 0;
    for (const char* key : {"messages", "prompt"})
      if (body.contains(key)) prompt += tokens(body[key]);
    planner::Lengths lengths{std::max<int64_t>(prompt, 1), default_max_tokens_, 1};
    for (const char* key : {"max_tokens", "max_completion_tokens"})
      if (const auto asked = whole(body, key)) lengths.generated = *asked;
    if (const auto choices = whole(body, "n")) lengths.requests = *choices;
    return lengths;
  }

 private:
  static std::optional<int64_t> whole(const Json& body, const char* key) {
    if (!body.contains(key) || !body[key].is_number_integer()) return std::nullopt;
    return std::clamp<int64_t>(body[key].get<int64_t>(), 1, planner::kMaxTokens);
  }
  // Of a text, of messages and their parts, of token ids.
  int64_t tokens(const Json& json) {
    if (json.is_number()) return 1;
    if (json.is_string()) return tokens(json.get_ref<const std::string&>());
    if (json.is_object()) {
      if (json.contains("content")) return kTemplateTokens + tokens(json["content"]);
      return json.contains("text") ? tokens(json["text"]) : 0;
    }
    int64_t sum = 0;
    if (json.is_array())
      for (const Json& part : json) sum += tokens(part);
    return sum;
  }
  int64_t tokens(const std::string& text) {
    const auto bytes = static_cast<double>(text.size());
    const bool more = text_bytes_ == 0 || encoded_bytes_ < static_cast<double>(text_bytes_);
    if (tokenizer_ != nullptr && more) {
      // What it does not take is an error of batch's.
      if (const auto ids = tokenizer_->encode(text, true); ids.ok()) {
        encoded_bytes_ += bytes;
        encoded_tokens_ += static_cast<double>(ids->size());
        return std::ssize(*ids);
      }
    }
    const double each = encoded_tokens_ > 0 ? encoded_bytes_ / encoded_tokens_ : kBytesPerToken;
    return std::llround(bytes / each);
  }

  const text::Tokenizer* tokenizer_;
  int64_t default_max_tokens_;
  int64_t text_bytes_;
  double encoded_bytes_ = 0, encoded_tokens_ = 0;
};

// Lengths of one bucket (of the same power, or part of a power, of two) as their mean; the longest
// for itself, since memory is reserved for it.
planner::Workload gathered(const std::string& name, std::vector<planner::Lengths> all,
                           double times) {
  std::ranges::sort(all, std::greater<>(), [](const planner::Lengths& l) {
    return std::tuple(l.prompt + l.generated, l.prompt, l.requests);
  });
  std::map<std::pair<int, int>, planner::Lengths> sums;
  const auto bucket = [](int64_t tokens) {
    return static_cast<int>(std::log2(static_cast<double>(tokens)) * 2);
  };
  for (const planner::Lengths& l : std::span(all).subspan(1)) {
    planner::Lengths& s =
        sums.try_emplace({bucket(l.prompt), bucket(l.generated)}, planner::Lengths{0, 0, 0})
            .first->second;
    s.prompt += l.prompt * l.requests;
    s.generated += l.generated * l.requests;
    s.requests += l.requests;
  }
  planner::Workload workload{name, {all.front()}};
  for (const auto& [key, s] : sums) {
    workload.requests.push_back(
        {s.prompt / s.requests, s.generated / s.requests,
         std::max<int64_t>(std::llround(times * static_cast<double>(s.requests)), 1)});
  }
  return workload;
}

}  // namespace

Result<BatchLengths> batch_lengths(const batch::File& file, const std::string& name,
                                   int64_t first_offset, const text::Tokenizer* tokenizer,
                                   int64_t default_max_tokens, const LengthLimits& limits) {
  SLUICE_ASSIGN(const int64_t size, file.size());
  const bool whole = limits.file_bytes == 0 || size - first_offset <= limits.file_bytes;
  const int64_t pieces = whole ? 1 : kPieces;
  const int64_t piece_bytes = whole ? size : limits.file_bytes / kPieces;
  Counter counter(tokenizer, default_max_tokens, limits.text_bytes);
  std::vector<planner::Lengths> all;
  int64_t read_bytes = 0;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t begin = first_offset + (size - first_offset) / pieces * piece;
    batch::LineReader reader(file, begin);
    // A piece begins somewhere in a line.
    if (piece > 0) SLUICE_TRY(reader.next());
    while (true) {
      SLUICE_ASSIGN(const std::optional<batch::Line> line, reader.next());
      if (!line || line->offset - begin >= piece_bytes) break;
      read_bytes += line->end - line->offset;
      const auto json = base::parse_json(line->text);
      // A line that batch will answer with an error costs nothing.
      if (json.ok() && json->is_object()) all.push_back(counter.lengths(*json));
    }
  }
  if (all.empty()) {
    return Error{ErrorCode::kInvalid,
                 "'" + name + "' has no line that is a JSON object; give a batch file"};
  }
  const double times = whole ? 1.0
                             : static_cast<double>(size - first_offset) /
                                   static_cast<double>(std::max<int64_t>(read_bytes, 1));
  return BatchLengths{gathered(name, std::move(all), times), whole};
}

}  // namespace sluice::cli
