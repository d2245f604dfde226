#include "weights/gguf_split.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "weights/corrupt.h"
#include "weights/quote.h"
#include "weights/safetensors_index.h"

namespace sluice::weights {
namespace {

constexpr const char* kNo = "split.no";
constexpr const char* kCount = "split.count";
constexpr const char* kTensors = "split.tensors.count";

// "-00002-of-00003.gguf" for place 1 of 3.
std::string ending(int64_t place, int64_t count) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "-%05lld-of-%05lld.gguf",
                static_cast<long long>(place + 1), static_cast<long long>(count));
  return text.data();
}

}  // namespace

Result<GgufSplit> find_split(const std::filesystem::path& path, const GgufMetadata& metadata) {
  GgufSplit split;
  split.files.push_back(path);
  split.tensors = metadata.whole(kTensors);
  const GgufValue* stated = metadata.find(kCount);
  if (stated == nullptr) return split;
  const int64_t count = metadata.whole(kCount).value_or(-1);
  // Zero is what a merged file may keep.
  if (count < 0 || count > int64_t{kMaxShards})
    return corrupt(quote(kCount) + " is not a whole number up to " + std::to_string(kMaxShards));
  if (count <= 1) return split;
  const int64_t place = metadata.whole(kNo).value_or(-1);
  if (place < 0 || place >= count)
    return corrupt(quote(kNo) + " is not a whole number below " + quote(kCount) + ", " +
                   std::to_string(count));
  const std::string name = path.filename().string();
  if (!name.ends_with(ending(place, count)))
    return Error{ErrorCode::kInvalid, "is part " + std::to_string(place + 1) + " of " +
                                          std::to_string(count) + ", and its name must end with " +
                                          quote(ending(place, count)) + " to find the others"};
  const std::string stem = name.substr(0, name.size() - ending(place, count).size());
  if (place != 0)
    return Error{ErrorCode::kInvalid, "is part " + std::to_string(place + 1) + " of " +
                                          std::to_string(count) + "; name the first one, " +
                                          quote(stem + ending(0, count))};
  for (int64_t i = 1; i < count; ++i)
    split.files.push_back(path.parent_path() / (stem + ending(i, count)));
  return split;
}

Status check_part(const GgufMetadata& part, const GgufMetadata& first, int64_t place,
                  const GgufSplit& split) {
  const auto count = static_cast<int64_t>(split.files.size());
  if (part.whole(kNo) != place || part.whole(kCount) != count)
    return corrupt("does not say that it is part " + std::to_string(place + 1) + " of " +
                   std::to_string(count) + " ('split.no' and 'split.count')");
  for (const auto& [key, value] : part.entries()) {
    if (key.starts_with("split.") || key.starts_with("general.")) continue;
    const GgufValue* there = first.find(key);
    if (there != nullptr && there->type == value.type && there->is_array == value.is_array &&
        std::ranges::equal(there->bytes, value.bytes)) {
      continue;
    }
    return corrupt("holds the key " + quote(key) + ", of which the first part says otherwise");
  }
  return {};
}

}  // namespace sluice::weights
