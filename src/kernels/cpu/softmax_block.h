// One step of attention's running softmax over up to kKeyBlock keys.

float softmax_block(float* scores, int64_t visible, float scale, SoftmaxState* state) {
  const float nothing = -__builtin_inff();
  F16 s[kKeyBlock / 16];
  F16 top = set(nothing);
  const int64_t vectors = (visible + 15) / 16;
  for (int64_t i = 0; i < vectors; ++i) {
    s[i] = keep_first(mul(load(scores + i * 16), set(scale)), visible - i * 16, nothing);
    top = max(s[i], top);
  }
  const float block_max = max_of_lanes(top);
  float factor = 1.0f;
  F16 sum = load(state->sum);
  if (block_max > state->max) {
    factor = exp_one(state->max - block_max);
    sum = mul(sum, set(factor));
    state->max = block_max;
  }
  for (int64_t i = 0; i < vectors; ++i) {
    const F16 p = keep_first(exp16(sub(s[i], set(state->max))), visible - i * 16, 0.0f);
    sum = add(sum, p);
    store(p, scores + i * 16);
  }
  store(sum, state->sum);
  return factor;
}
