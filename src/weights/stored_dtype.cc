#include "weights/stored_dtype.h"

#include <array>

#include "base/check.h"

namespace sluice::weights {
namespace {

using tensor::DType;

constexpr std::array<StoredDType, 22> kStored{{
    {"BF16", 16, DType::kBF16},
    {"F16", 16, DType::kF16},
    {"F32", 32, DType::kF32},
    {"F64", 64, {}},
    {"BOOL", 8, {}},
    {"U8", 8, {}},
    {"I8", 8, {}},
    {"U16", 16, {}},
    {"I16", 16, {}},
    {"U32", 32, {}},
    {"I32", 32, {}},
    {"U64", 64, {}},
    {"I64", 64, {}},
    {"C64", 64, {}},
    {"F8_E4M3", 8, {}},
    {"F8_E5M2", 8, {}},
    {"F8_E8M0", 8, {}},
    {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"F4", 4, {}},
}};

}  // namespace

const StoredDType* find_stored_dtype(std::string_view name) {
  for (const StoredDType& stored : kStored) {
    if (name == stored.name) return &stored;
  }
  return nullptr;
}

const StoredDType& stored_as(tensor::DType dtype) {
  for (const StoredDType& stored : kStored) {
    if (stored.readable == dtype) return stored;
  }
  base::check_failed("stored dtype", "a DType that no safetensors file stores", __FILE__, __LINE__);
}

}  // namespace sluice::weights
