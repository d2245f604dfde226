#include "weights/match.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "weights/quote.h"

namespace sluice::weights {
namespace {

// "3 tensors are missing ('a', 'b', 'c')", up to the first few.
class Listing {
 public:
  void add(std::string shown) {
    if (++count_ <= kMaxNamesListed) listed_ += (count_ > 1 ? ", " : "") + std::move(shown);
  }
  size_t count() const { return count_; }
  // `one` and `many` follow the count: "tensor is missing", "tensors are missing".
  std::string say(const char* one, const char* many) const {
    return std::to_string(count_) + " " + (count_ == 1 ? one : many) + " (" + listed_ +
           (count_ > kMaxNamesListed ? " and " + std::to_string(count_ - kMaxNamesListed) + " more"
                                     : std::string()) +
           ")";
  }

 private:
  size_t count_ = 0;
  std::string listed_;
};

bool same(const std::vector<int64_t>& dims, const tensor::Shape& shape) {
  return dims.size() == static_cast<size_t>(shape.rank) &&
         std::equal(dims.begin(), dims.end(), shape.dims.begin());
}

// The whole account in one sentence, or nothing if there is nothing to tell.
std::string account(const Listing& missing, const Listing& misshapen, const Listing& unexpected) {
  std::string told;
  const auto tell = [&](const Listing& listing, const char* one, const char* many) {
    if (listing.count() == 0) return;
    told += (told.empty() ? "" : ", ") + listing.say(one, many);
  };
  tell(missing, "tensor is missing", "tensors are missing");
  tell(misshapen, "has another shape than the config says",
       "have another shape than the config says");
  tell(unexpected, "is not part of the model", "are not part of the model");
  return told;
}

}  // namespace

bool matches_pattern(std::string_view name, std::string_view pattern) {
  size_t n = 0;
  size_t p = 0;
  size_t star = std::string_view::npos;  // the last '*' seen, and where its text began
  size_t resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<Matched> match(const Checkpoint& checkpoint, std::span<const TensorSpec> specs,
                      std::span<const std::string> ignore) {
  Matched matched;
  matched.views.reserve(specs.size());
  std::unordered_set<std::string_view> wanted;
  Listing missing;
  Listing misshapen;
  Listing unexpected;
  for (const TensorSpec& spec : specs) {
    SLUICE_CHECK(wanted.insert(spec.name).second, "a model names each of its tensors once");
    std::optional<tensor::TensorView>& view = matched.views.emplace_back();
    const TensorEntry* entry = checkpoint.find(spec.name);
    if (entry == nullptr) {
      if (spec.required) missing.add(quote(spec.name));
    } else if (!same(entry->dims, spec.shape)) {
      misshapen.add(quote(spec.name) + " is " + to_string(entry->dims) + " in " +
                    checkpoint.file_of(*entry).filename().string() + ", " +
                    tensor::to_string(spec.shape) + " is expected");
    } else {
      SLUICE_ASSIGN(view, checkpoint.view(*entry));
    }
  }
  for (const TensorEntry& entry : checkpoint.entries()) {
    if (wanted.contains(entry.name)) continue;
    const bool excused = std::ranges::any_of(
        ignore, [&](const std::string& pattern) { return matches_pattern(entry.name, pattern); });
    if (excused) {
      matched.ignored.push_back(entry.name);
    } else {
      unexpected.add(quote(entry.name));
    }
  }
  const std::string told = account(missing, misshapen, unexpected);
  if (told.empty()) return matched;
  return Error{ErrorCode::kInvalid,
               checkpoint.where() + ": " + told +
                   (checkpoint.gguf() != nullptr
                        ? "; its metadata and its tensors do not belong to the same model"
                        : "; check that config.json and the weights belong to the same model")};
}

}  // namespace sluice::weights
