#include <algorithm>
#include <charconv>

#include "batch/fields.h"

namespace sluice::batch {
namespace {

using engine::SamplingParams;

void read_numbers(Fields& fields, SamplingParams& sampling) {
  fields.number("temperature", 0, 2, sampling.temperature);
  if (fields.number("top_p", 0, 1, sampling.top_p) && sampling.top_p == 0)
    fields.wrong_value("top_p", "is 0; it must be above 0, up to 1");
  fields.whole("top_k", -1, INT32_MAX, sampling.top_k);
  fields.number("min_p", 0, 1, sampling.min_p);
  fields.number("repetition_penalty", 0.001, 100, sampling.repetition_penalty);
  fields.number("frequency_penalty", -2, 2, sampling.frequency_penalty);
  fields.number("presence_penalty", -2, 2, sampling.presence_penalty);
  int64_t n = sampling.n;
  fields.whole("n", 1, kMaxChoices, n);
  sampling.n = static_cast<int>(n);
  int64_t seed = 0;
  if (fields.whole("seed", INT64_MIN, INT64_MAX, seed)) sampling.seed = static_cast<uint64_t>(seed);
  // OpenAI draws best_of and keeps the best n; with as many drawn as kept there is nothing to do.
  int64_t best_of = n;
  if (fields.whole("best_of", 1, kMaxChoices, best_of) && best_of != n)
    fields.unsupported("best_of", "leave it out or set it to n");
}

void read_stops(Fields& fields, SamplingParams& sampling) {
  if (const Json* stop = fields.find("stop")) {
    if (!stop->is_string() && !stop->is_array())
      fields.wrong_type("stop", *stop, "a string or a list of strings");
    const Json list = stop->is_array() ? *stop : Json::array({*stop});
    if (list.size() > kMaxStops)
      fields.wrong_value("stop", "has " + std::to_string(list.size()) + " strings; the limit is " +
                                     std::to_string(kMaxStops));
    sampling.stop.clear();
    for (const Json& text : list) {
      if (!text.is_string()) {
        fields.wrong_type("stop", text, "a string");
      } else if (text.get_ref<const std::string&>().empty()) {
        fields.wrong_value("stop", "holds an empty string, which would stop every answer at once");
      } else if (text.get_ref<const std::string&>().size() > kMaxStopBytes) {
        fields.wrong_value("stop", "holds a string of more than " + std::to_string(kMaxStopBytes) +
                                       " bytes, which is the limit");
      }
      if (!fields.ok()) return;
      sampling.stop.push_back(text.get<std::string>());
    }
  }
  if (const Json* ids = fields.find("stop_token_ids")) {
    if (!ids->is_array()) return fields.wrong_type("stop_token_ids", *ids, "a list of token ids");
    if (ids->size() > kMaxStopTokenIds)
      return fields.wrong_value(
          "stop_token_ids",
          "has more than " + std::to_string(kMaxStopTokenIds) + " ids, which is the limit");
    sampling.stop_token_ids.clear();
    for (const Json& id : *ids) {
      if (!id.is_number_integer() || id < 0 || id > INT32_MAX)
        return fields.wrong_type("stop_token_ids", id, "a token id");
      sampling.stop_token_ids.push_back(id.get<int32_t>());
    }
  }
  fields.boolean("include_stop_str_in_output", sampling.include_stop_in_output);
  fields.boolean("ignore_eos", sampling.ignore_eos);
  fields.boolean("skip_special_tokens", sampling.skip_special_tokens);
}

void read_lengths(Fields& fields, BatchLine& line) {
  SamplingParams& sampling = line.sampling;
  // Echo without generating is how evaluation harnesses score a prompt.
  const int64_t least = line.is_chat ? 1 : 0;
  int64_t older = 0, newer = 0;
  const bool has_older = fields.whole("max_tokens", least, kMaxTokensAsked, older);
  const bool has_newer = fields.whole("max_completion_tokens", least, kMaxTokensAsked, newer);
  if (has_older && has_newer && older != newer)
    fields.wrong_value("max_tokens", "is " + std::to_string(older) +
                                         " and 'max_completion_tokens' is " +
                                         std::to_string(newer) + "; give one of them");
  line.has_max_tokens = has_older || has_newer;
  if (line.has_max_tokens) sampling.max_tokens = has_newer ? newer : older;
  fields.whole("min_tokens", 0, kMaxTokensAsked, sampling.min_tokens);
  if (line.has_max_tokens && sampling.min_tokens > sampling.max_tokens)
    fields.wrong_value("min_tokens", "is " + std::to_string(sampling.min_tokens) +
                                         ", more than the " + std::to_string(sampling.max_tokens) +
                                         " of max_tokens");
}

void read_logit_bias(Fields& fields, SamplingParams& sampling) {
  const Json* bias = fields.find("logit_bias");
  if (bias == nullptr) return;
  if (!bias->is_object())
    return fields.wrong_type("logit_bias", *bias, "an object of token ids and numbers");
  if (bias->size() > kMaxLogitBias)
    return fields.wrong_value("logit_bias", "has " + std::to_string(bias->size()) +
                                                " entries; the limit is " +
                                                std::to_string(kMaxLogitBias));
  sampling.logit_bias.clear();
  for (const auto& [key, value] : bias->items()) {
    int32_t id = -1;
    const char* end = key.data() + key.size();
    const auto read = std::from_chars(key.data(), end, id);
    const bool canonical = key == "0" || (!key.empty() && key[0] >= '1' && key[0] <= '9');
    if (read.ec != std::errc() || read.ptr != end || !canonical)
      return fields.wrong_value("logit_bias",
                                "has the key " + shown(Json(key)) + "; keys are token ids");
    if (!value.is_number() || !(value >= -100 && value <= 100))
      return fields.wrong_value("logit_bias", "gives token " + key + " the value " + shown(value) +
                                                  "; a number from -100 to 100 is expected");
    sampling.logit_bias.emplace_back(id, value.get<float>());
  }
  std::sort(sampling.logit_bias.begin(), sampling.logit_bias.end());
}

// Chat: a switch and a count. Completions: one number, which says both.
void read_logprobs(Fields& fields, BatchLine& line) {
  if (!line.is_chat) {
    int64_t count = 0;
    if (fields.whole("logprobs", 0, kMaxLogprobs, count))
      line.sampling.logprobs = static_cast<int>(count);
    if (fields.has("top_logprobs"))
      fields.unsupported("top_logprobs", "completions take the number in 'logprobs'");
    return;
  }
  bool wanted = false;
  fields.boolean("logprobs", wanted);
  int64_t top = 0;
  if (fields.whole("top_logprobs", 0, kMaxLogprobs, top) && top > 0 && !wanted)
    fields.wrong_value("top_logprobs", "needs 'logprobs' to be true");
  if (wanted) line.sampling.logprobs = static_cast<int>(top);
}

}  // namespace

void read_sampling(Fields& fields, BatchLine& line) {
  read_numbers(fields, line.sampling);
  read_stops(fields, line.sampling);
  read_lengths(fields, line);
  read_logit_bias(fields, line.sampling);
  read_logprobs(fields, line);
  fields.boolean("return_token_ids", line.return_token_ids);
}

}  // namespace sluice::batch
