#include "planner/workload.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace sluice::planner {
namespace {

constexpr int kRangeLengths = 8;
constexpr size_t kMostShares = 64;

double mean(const Workload& workload, int64_t Lengths::* field) {
  double sum = 0;
  for (const Lengths& lengths : workload.requests) {
    sum += static_cast<double>(lengths.*field) * static_cast<double>(lengths.requests);
  }
  return sum / static_cast<double>(workload.count());
}

struct Known {
  const char* name;
  int64_t mean_prompt, max_prompt, generated;
};
constexpr std::array kKnown = {Known{"mtbench", 77, 418, 128},
                               Known{"helm-synthetic", 242, 256, 50},
                               Known{"summarization", 1693, 1984, 64}};
constexpr std::array kNames = {kKnown[0].name, kKnown[1].name, kKnown[2].name};

Result<int64_t> whole(std::string_view text, const char* flag) {
  int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < 1 ||
      value > kMaxTokens) {
    return Error{ErrorCode::kInvalid,
                 std::string(flag) + ": '" + std::string(text) +
                     "' is no number of tokens; 512, 64:1024 or 128x3,1024x1 is expected"};
  }
  return value;
}

Result<std::vector<Share>> range(std::string_view low_text, std::string_view high_text,
                                 const char* flag) {
  SLUICE_ASSIGN(const int64_t low, whole(low_text, flag));
  SLUICE_ASSIGN(const int64_t high, whole(high_text, flag));
  if (low > high) {
    return Error{ErrorCode::kInvalid, std::string(flag) + ": " + std::to_string(low) +
                                          " is more than " + std::to_string(high) +
                                          "; the shorter length comes first"};
  }
  std::vector<Share> shares;
  for (int i = 0; i < kRangeLengths; ++i) {
    const double at = (i + 0.5) / kRangeLengths;
    shares.push_back(
        {low + std::llround(at * static_cast<double>(high - low)), 1.0 / kRangeLengths});
  }
  return shares;
}

}  // namespace

int64_t Workload::count() const {
  int64_t sum = 0;
  for (const Lengths& lengths : requests) sum += lengths.requests;
  return sum;
}
double Workload::mean_prompt() const { return mean(*this, &Lengths::prompt); }
double Workload::mean_generated() const { return mean(*this, &Lengths::generated); }
int64_t Workload::max_prompt() const {
  int64_t value = 0;
  for (const Lengths& lengths : requests) value = std::max(value, lengths.prompt);
  return value;
}
int64_t Workload::max_tokens() const {
  int64_t value = 0;
  for (const Lengths& lengths : requests)
    value = std::max(value, lengths.prompt + lengths.generated);
  return value;
}

int64_t Workload::max_seq_len(int64_t max_positions) const {
  return std::min(2 * max_tokens(), max_positions);
}

Workload Workload::padded() const {
  Workload padded{name + ", padded", requests};
  for (Lengths& lengths : padded.requests) lengths.prompt = max_prompt();
  return padded;
}

std::span<const char* const> workload_names() { return kNames; }

Result<Workload> known_workload(std::string_view name, int64_t generated, int64_t requests) {
  for (const Known& known : kKnown) {
    if (name != known.name) continue;
    const int64_t tokens = generated > 0 ? generated : known.generated;
    // One in sixteen is the longest; the others make up the mean.
    const int64_t longest = std::max<int64_t>(requests / 16, requests > 1 ? 1 : 0);
    const int64_t others = requests - longest;
    const auto rest = std::llround((static_cast<double>(known.mean_prompt * requests) -
                                    static_cast<double>(known.max_prompt * longest)) /
                                   static_cast<double>(std::max<int64_t>(others, 1)));
    Workload workload{std::string(name), {{std::max<int64_t>(rest, 1), tokens, others}}};
    if (longest > 0) workload.requests.push_back({known.max_prompt, tokens, longest});
    return workload;
  }
  return Error{ErrorCode::kInvalid, "no workload is called '" + std::string(name) +
                                        "'; there are mtbench, helm-synthetic and summarization"};
}

Result<std::vector<Share>> parse_lengths(std::string_view text, const char* flag) {
  if (const size_t colon = text.find(':'); colon != std::string_view::npos)
    return range(text.substr(0, colon), text.substr(colon + 1), flag);
  std::vector<Share> shares;
  double sum = 0;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const size_t times = part.find('x');
    Share share;
    SLUICE_ASSIGN(share.tokens, whole(part.substr(0, times), flag));
    share.weight = 1;
    if (times != std::string_view::npos) {
      SLUICE_ASSIGN(const int64_t weight, whole(part.substr(times + 1), flag));
      share.weight = static_cast<double>(weight);
    }
    sum += share.weight;
    shares.push_back(share);
    if (shares.size() > kMostShares) {
      return Error{ErrorCode::kInvalid, std::string(flag) + " names more than " +
                                            std::to_string(kMostShares) + " lengths"};
    }
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  for (Share& share : shares) share.weight /= sum;
  return shares;
}

Result<Workload> workload_of(std::string_view prompt, std::string_view generated,
                             int64_t requests) {
  SLUICE_ASSIGN(const std::vector<Share> prompts, parse_lengths(prompt, "--prompt-tokens"));
  SLUICE_ASSIGN(const std::vector<Share> answers, parse_lengths(generated, "--generate-tokens"));
  Workload workload;
  workload.name = std::string(prompt) + " + " + std::string(generated) + " tokens";
  // Whole requests whose sum is exact: each kind up to where its share of all ends.
  double share = 0;
  int64_t given = 0;
  for (const Share& p : prompts) {
    for (const Share& g : answers) {
      share += p.weight * g.weight;
      const int64_t until =
          std::min<int64_t>(requests, std::llround(share * static_cast<double>(requests)));
      if (until > given) workload.requests.push_back({p.tokens, g.tokens, until - given});
      given = std::max(given, until);
    }
  }
  if (workload.requests.empty())
    workload.requests.push_back({prompts[0].tokens, answers[0].tokens, 1});
  return workload;
}

}  // namespace sluice::planner
