// For an ISA whose products of bytes are of pairs: the peak is what 4-bit codes can reach, whose
// products are summed in 16 bits. It has no dot product of bf16.

constexpr float (*bf16_dot_loop)(int64_t rounds) = nullptr;
constexpr int64_t kBf16DotFlops = 0;

constexpr int kDotSteps = 16;
constexpr int64_t kInt8DotOps = int64_t{2} * 4 * kRegisterFloats * kChains * kDotSteps;

int32_t int8_dot_loop(int64_t rounds) {
  CodeRegister sum[kChains];
  for (auto& chain : sum) chain = repeat16(1);
  CodeRegister a = repeat8(1);
  for (int64_t round = 0; round < rounds; ++round) {
    SLUICE_UNROLL for (int step = 0; step < kDotSteps; ++step) {
      SLUICE_UNROLL for (int i = 0; i < kChains; ++i) {
        __asm__ volatile("" : "+v"(a));  // each product is another one to the compiler
        sum[i] = add16(sum[i], multiply_bytes(a, a));
      }
    }
  }
  for (int i = 1; i < kChains; ++i) sum[0] = add16(sum[0], sum[i]);
  alignas(64) std::byte bytes[sizeof(CodeRegister)];
  store_codes(sum[0], bytes);
  int32_t first;
  __builtin_memcpy(&first, bytes, sizeof first);
  return first;
}
