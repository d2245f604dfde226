#include "kernels/kv_layout.h"

#include "base/check.h"

namespace sluice::kernels {

const char* name(KvDType dtype) {
  switch (dtype) {
    case KvDType::kF32:
      return "f32";
    case KvDType::kF16:
      return "f16";
    case KvDType::kBF16:
      return "bf16";
    case KvDType::kQ8:
      return "q8";
  }
  base::check_failed("known KV dtype", "a KvDType outside its enum", __FILE__, __LINE__);
}

std::span<const KvDType> all_kv_dtypes() {
  static constexpr KvDType kAll[kKvDTypes] = {KvDType::kF32, KvDType::kF16, KvDType::kBF16,
                                              KvDType::kQ8};
  return kAll;
}

std::optional<KvDType> parse_kv_dtype(std::string_view text) {
  for (KvDType dtype : all_kv_dtypes()) {
    if (text == name(dtype)) return dtype;
  }
  return std::nullopt;
}

}  // namespace sluice::kernels
