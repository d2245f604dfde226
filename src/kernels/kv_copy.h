// Moving keys and values between blocks of the paged cache, wherever they lie.
#pragma once

#include "kernels/kv_layout.h"

namespace sluice::kernels {

// Copies what one token (its number within the block) has in a block of this layout to the same
// place of another.
void copy_kv_token(const KvLayout& layout, int64_t token, const std::byte* from, std::byte* to);

}  // namespace sluice::kernels
