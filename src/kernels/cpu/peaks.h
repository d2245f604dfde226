// What this ISA can do at most: loops with nothing but the instruction that is measured.

float read_all(const float* data, int64_t count) {
  F16 sum[16];
  SLUICE_UNROLL for (int i = 0; i < 16; ++i) sum[i] = zero();
  for (int64_t at = 0; at < count; at += 256) {
    SLUICE_UNROLL for (int i = 0; i < 16; ++i) {
      send_for(data + at + i * 16 + ahead_in_weights(1) / 4);
    }
    SLUICE_UNROLL for (int i = 0; i < 16; ++i) sum[i] = add(sum[i], load(data + at + i * 16));
  }
  for (int i = 1; i < 16; ++i) sum[0] = add(sum[0], sum[i]);
  return fold_sum(sum[0]);
}

constexpr int kFmaSteps = 16;  // fused multiply-adds of each chain in one round

float fma_loop(int64_t rounds) {
  F16 sum[kChains];
  SLUICE_UNROLL for (int i = 0; i < kChains; ++i) sum[i] = set(static_cast<float>(i));
  const F16 a = set(0.999f);
  const F16 b = set(0.125f);
  for (int64_t round = 0; round < rounds; ++round) {
    SLUICE_UNROLL for (int step = 0; step < kFmaSteps; ++step) {
      SLUICE_UNROLL for (int i = 0; i < kChains; ++i) sum[i] = fma(sum[i], a, b);
    }
  }
  for (int i = 1; i < kChains; ++i) sum[0] = add(sum[0], sum[i]);
  return fold_sum(sum[0]);
}
