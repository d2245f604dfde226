// Names out of hostile files, made fit for one line of an error.
#pragma once

#include <string>
#include <string_view>

namespace sluice::weights {

constexpr size_t kMaxQuotedBytes = 160;

// 'name' in single quotes, as UTF-8: control characters and bytes that are no character become
// \xNN, a long one is cut short.
std::string quote(std::string_view name);

}  // namespace sluice::weights
