// Lines of a batch: each is understood or has an error that says what and where, whatever it holds;
// and the error line and the answer made of it can be read again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "batch/answer.h"
#include "batch/line.h"

namespace {

using sluice::batch::LineError;
using sluice::batch::ParsedLine;

void check_error(const ParsedLine& parsed, const LineError& error) {
  SLUICE_CHECK(!error.code.empty() && !error.message.empty(), "an error says something");
  const std::string id = parsed.custom_id.empty() ? sluice::batch::line_id(1) : parsed.custom_id;
  const std::string line = sluice::batch::error_line(id, 1, error);
  SLUICE_CHECK(line.find('\n') == std::string::npos, "an error line is one line");
  SLUICE_CHECK(sluice::base::parse_json(line).ok(), "an error line is JSON");
  const auto head = sluice::batch::read_answer_head(line);
  SLUICE_CHECK(head && head->failed && head->custom_id == id, "an error line is found again");
}

void check_ranges(const sluice::engine::SamplingParams& sampling) {
  SLUICE_CHECK(sampling.temperature >= 0 && sampling.temperature <= 2, "temperature");
  SLUICE_CHECK(sampling.top_p > 0 && sampling.top_p <= 1, "top_p");
  SLUICE_CHECK(sampling.n >= 1 && sampling.n <= sluice::batch::kMaxChoices, "n");
  SLUICE_CHECK(sampling.stop.size() <= sluice::batch::kMaxStops, "stop");
  for (const std::string& stop : sampling.stop) SLUICE_CHECK(!stop.empty(), "no empty stop");
  for (const auto& [token, bias] : sampling.logit_bias)
    SLUICE_CHECK(token >= 0 && bias >= -100 && bias <= 100, "logit_bias");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ParsedLine parsed = sluice::batch::parse_line(text, {});
  SLUICE_CHECK(parsed.custom_id.size() <= sluice::batch::kMaxCustomIdBytes, "an id has a limit");
  if (parsed.error() != nullptr) {
    check_error(parsed, *parsed.error());
  } else {
    check_ranges(parsed.line()->sampling);
    SLUICE_CHECK(parsed.line()->is_chat == parsed.line()->prompts.empty(), "messages or prompts");
  }
  // The same bytes as a line of an output that is recovered.
  (void)sluice::batch::read_answer_head(text);
  return 0;
}
