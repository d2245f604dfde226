// For an ISA without dot products of bf16 and int8.

constexpr float (*bf16_dot_loop)(int64_t rounds) = nullptr;
constexpr int64_t kBf16DotFlops = 0;
constexpr int32_t (*int8_dot_loop)(int64_t rounds) = nullptr;
constexpr int64_t kInt8DotOps = 0;
