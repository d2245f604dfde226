// Runs a test's body on every ISA that this CPU has and for several sizes of team. The test's JSON
// result names the ISAs (tools/isa_ledger.py reads it).
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/sanitized.h"
#include "kernels/exec.h"

namespace sluice::kernels {

// AddressSanitizer slows the scalar loops by tens of times; the release build runs every size.
inline std::vector<int> team_sizes() {
  if (base::address_sanitized()) return {2};
  return {1, 2, 3};
}

template <class Body>
void each_isa(const Body& body) {
  std::string isas;
  for (Isa isa : available_isas()) isas += std::string(isas.empty() ? "" : " ") + name(isa);
  ::testing::Test::RecordProperty("isas", isas);
  for (int threads : team_sizes()) {
    base::ThreadTeam team(threads);
    for (Isa isa : available_isas()) {
      SCOPED_TRACE(std::string(name(isa)) + ", " + std::to_string(threads) + " threads");
      const Exec exec{&op_table(isa), &team};
      body(exec);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// The same bits, NaN and signs of zero included.
template <class T>
::testing::AssertionResult same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << "sizes differ";
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) {
      return ::testing::AssertionFailure() << "at " << i << ": " << a[i] << " and " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

// The same bits, but any NaN for a NaN: its sign and payload depend on the order of operands.
inline ::testing::AssertionResult same_numbers(const std::vector<float>& a,
                                               const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], 4) != 0)
      return ::testing::AssertionFailure() << "at " << i << ": " << a[i] << " and " << b[i];
  }
  return ::testing::AssertionSuccess();
}

}  // namespace sluice::kernels
