#include "base/numa.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

#include "base/affinity.h"

namespace sluice::base {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

std::optional<int> number_below(std::string_view text, int limit) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value < 0 || value >= limit) return std::nullopt;
  return value;
}

std::optional<std::vector<int>> list_in(const std::filesystem::path& file, int limit) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return parse_number_list(line, limit);
}

}  // namespace

std::optional<std::vector<int>> parse_number_list(std::string_view text, int limit) {
  std::vector<int> numbers;
  text = trim(text);
  while (!text.empty()) {
    const std::string_view range = text.substr(0, text.find(','));
    const size_t dash = range.find('-');
    const auto first = number_below(range.substr(0, dash), limit);
    const auto last =
        dash == std::string_view::npos ? first : number_below(range.substr(dash + 1), limit);
    const int before = numbers.empty() ? -1 : numbers.back();
    if (!first || !last || *first > *last || *first <= before) return std::nullopt;
    for (int number = *first; number <= *last; ++number) numbers.push_back(number);
    if (range.size() == text.size()) break;
    text.remove_prefix(range.size() + 1);
    if (text.empty()) return std::nullopt;  // a comma at the end
  }
  return numbers;
}

NumaNodes read_numa_nodes(const std::filesystem::path& root) {
  const std::filesystem::path directory = root / "devices/system/node";
  NumaNodes found;
  const auto online = list_in(directory / "online", kMaxNumaNodes);
  if (!online) return found;
  const auto with_memory = list_in(directory / "has_memory", kMaxNumaNodes);
  for (const int id : *online) {
    if (with_memory && !std::ranges::binary_search(*with_memory, id)) continue;
    auto cores = list_in(directory / ("node" + std::to_string(id)) / "cpulist", kMaxCores);
    // A memory node without cores has an empty line there, which is a list.
    if (!cores) return {};
    found.nodes.push_back({id, std::move(*cores)});
  }
  return found;
}

std::optional<std::vector<int>> read_allowed_nodes(const std::filesystem::path& status) {
  constexpr std::string_view kKey = "Mems_allowed_list:";
  std::ifstream in(status);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(kKey))
      return parse_number_list(std::string_view(line).substr(kKey.size()), kMaxNumaNodes);
  }
  return std::nullopt;
}

std::vector<int> nodes_to_interleave(const NumaNodes& nodes, std::span<const int> cores,
                                     const std::optional<std::vector<int>>& allowed) {
  std::vector<int> chosen;
  for (const NumaNode& node : nodes.nodes) {
    const bool used = std::ranges::find_first_of(node.cores, cores) != node.cores.end();
    const bool open = !allowed || std::ranges::find(*allowed, node.id) != allowed->end();
    if (used && open) chosen.push_back(node.id);
  }
  if (chosen.size() < 2) chosen.clear();
  return chosen;
}

std::vector<int> own_nodes_to_interleave() {
  return nodes_to_interleave(read_numa_nodes("/sys"), allowed_cores(),
                             read_allowed_nodes("/proc/self/status"));
}

}  // namespace sluice::base
