#include "kernels/exec.h"

#include <array>

#include "base/check.h"
#include "kernels/amx.h"
#include "kernels/op_table.h"

namespace sluice::kernels {

namespace scalar {
extern const OpTable kTable;
}
namespace avx2 {
extern const OpTable kTable;
}
namespace avx512 {
extern const OpTable kTable;
}
namespace avx512_bf16 {
extern const OpTable kTable;
}
namespace avx512_vnni {
extern const BlockTable kBlockTable;
}
namespace amx_int8 {
extern const BlockTable kBlockTable;
}

namespace {

constexpr Isa kAllIsas[] = {Isa::kScalar,     Isa::kAvx2,       Isa::kAvx512,
                            Isa::kAvx512Vnni, Isa::kAvx512Bf16, Isa::kAmxInt8};

// What each ISA's translation units are compiled with (kernels/CMakeLists.txt).
bool cpu_runs(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return true;
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi") &&
             __builtin_cpu_supports("bmi2");
    case Isa::kAvx512:
      return cpu_runs(Isa::kAvx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Isa::kAvx512Vnni:
      return cpu_runs(Isa::kAvx512) && __builtin_cpu_supports("avx512vnni");
    case Isa::kAvx512Bf16:
      return cpu_runs(Isa::kAvx512Vnni) && __builtin_cpu_supports("avx512bf16");
    case Isa::kAmxInt8:
      return cpu_runs(Isa::kAvx512Bf16) && __builtin_cpu_supports("amx-tile") &&
             __builtin_cpu_supports("amx-int8") && amx_permitted();
  }
  return false;
}

// `table` with another's products of block formats: all else is as without them.
OpTable with_blocks(OpTable table, Isa isa, const BlockTable& blocks) {
  table.isa = isa;
  table.blocks = &blocks;
  return table;
}

// What this program holds; null where it was built without (SLUICE_ISAS, kernels/CMakeLists.txt).
const OpTable* held_table(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return &scalar::kTable;
    case Isa::kAvx2:
      if constexpr (SLUICE_WITH_AVX2) return &avx2::kTable;
      return nullptr;
    case Isa::kAvx512:
      if constexpr (SLUICE_WITH_AVX512) return &avx512::kTable;
      return nullptr;
    case Isa::kAvx512Vnni:
      if constexpr (SLUICE_WITH_AVX512_VNNI) {
        static const OpTable table =
            with_blocks(avx512::kTable, Isa::kAvx512Vnni, avx512_vnni::kBlockTable);
        return &table;
      }
      return nullptr;
    case Isa::kAvx512Bf16:
      if constexpr (SLUICE_WITH_AVX512_BF16) return &avx512_bf16::kTable;
      return nullptr;
    case Isa::kAmxInt8:
      if constexpr (SLUICE_WITH_AMX_INT8) {
        static const OpTable table =
            with_blocks(avx512_bf16::kTable, Isa::kAmxInt8, amx_int8::kBlockTable);
        return &table;
      }
      return nullptr;
  }
  return nullptr;
}

struct Available {
  std::array<Isa, std::size(kAllIsas)> isas{};
  size_t count = 0;
};

Available find_available() {
  Available found;
  for (Isa isa : kAllIsas)
    if (cpu_runs(isa) && held_table(isa) != nullptr) found.isas[found.count++] = isa;
  return found;
}

}  // namespace

const char* name(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Vnni:
      return "avx512_vnni";
    case Isa::kAvx512Bf16:
      return "avx512_bf16";
    case Isa::kAmxInt8:
      return "amx_int8";
  }
  base::check_failed("known ISA", "an Isa outside its enum", __FILE__, __LINE__);
}

std::optional<Isa> parse_isa(std::string_view text) {
  for (Isa isa : kAllIsas)
    if (text == name(isa)) return isa;
  return std::nullopt;
}

std::span<const Isa> available_isas() {
  static const Available found = find_available();
  return {found.isas.data(), found.count};
}

Isa best_isa() { return available_isas().back(); }

const OpTable& op_table(Isa isa) {
  SLUICE_CHECK(cpu_runs(isa), "an ISA that this CPU runs");
  const OpTable* table = held_table(isa);
  SLUICE_CHECK(table != nullptr, "an ISA that this program holds");
  return *table;
}

}  // namespace sluice::kernels
