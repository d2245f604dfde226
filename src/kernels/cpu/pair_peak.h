// For an ISA whose products of bytes are of pairs: the peak is what 4-bit codes can reach, whose
// products are summed in 16 bits.

constexpr int kPeakChains = kCodeRegisters == 1 ? 12 : 6;
constexpr int kPeakSteps = 16;
constexpr int64_t kDotOps = int64_t{2} * 4 * kRegisterFloats * kPeakChains * kPeakSteps;

int32_t dot_loop(int64_t rounds) {
  CodeRegister sum[kPeakChains];
  for (auto& chain : sum) chain = repeat16(1);
  CodeRegister a = repeat8(1);
  for (int64_t round = 0; round < rounds; ++round) {
    SLUICE_UNROLL for (int step = 0; step < kPeakSteps; ++step) {
      SLUICE_UNROLL for (auto& chain : sum) {
        __asm__ volatile("" : "+v"(a));  // each product is another one to the compiler
        chain = add16(chain, multiply_bytes(a, a));
        // Added here: compilers keep many products on the stack for later.
        __asm__ volatile("" : "+v"(chain));
      }
    }
  }
  for (int i = 1; i < kPeakChains; ++i) sum[0] = add16(sum[0], sum[i]);
  alignas(64) std::byte bytes[sizeof(CodeRegister)];
  store_codes(sum[0], bytes);
  int32_t first;
  __builtin_memcpy(&first, bytes, sizeof first);
  return first;
}
