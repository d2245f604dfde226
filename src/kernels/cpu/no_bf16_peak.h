// For an ISA without a dot product of bf16.

constexpr float (*bf16_dot_loop)(int64_t rounds) = nullptr;
constexpr int64_t kBf16DotFlops = 0;
