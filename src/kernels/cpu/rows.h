// Loops over one row. Sums run in 16 interleaved partial sums (element i in lane i % 16), which are
// then folded in halves: the same order whatever the width of a register.

inline float fold_sum(const F16& lanes) {
  float v[16];
  store(lanes, v);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) v[i] = v[i] + v[i + width];
  return v[0];
}

// The last n < 16 elements, `other` behind them.
inline F16 load_tail(const float* from, int64_t n, float other) {
  float v[16];
  for (int64_t i = 0; i < 16; ++i) v[i] = i < n ? from[i] : other;
  return load(v);
}

inline void store_tail(const F16& lanes, int64_t n, float* to) {
  float v[16];
  store(lanes, v);
  for (int64_t i = 0; i < n; ++i) to[i] = v[i];
}

// y[i] = f(a[i], b[i]) for all i; y may be a or b.
template <class F>
SLUICE_INLINE void map_rows(const float* a, const float* b, int64_t dim, float* y, F f) {
  int64_t i = 0;
  for (; i + 16 <= dim; i += 16) store(f(load(a + i), load(b + i)), y + i);
  if (i < dim) {
    store_tail(f(load_tail(a + i, dim - i, 0.0f), load_tail(b + i, dim - i, 0.0f)), dim - i, y + i);
  }
}

void rms_norm(const float* x, const float* weight, float eps, int64_t dim, float* y) {
  F16 squares = zero();
  int64_t i = 0;
  for (; i + 16 <= dim; i += 16) squares = fma(load(x + i), load(x + i), squares);
  if (i < dim) {
    const F16 tail = load_tail(x + i, dim - i, 0.0f);
    squares = fma(tail, tail, squares);
  }
  const float mean = fold_sum(squares) / static_cast<float>(dim);
  const F16 scale = set(1.0f / __builtin_sqrtf(mean + eps));
  map_rows(x, weight, dim, y, [&](const F16& a, const F16& w) { return mul(mul(a, scale), w); });
}

void silu_mul(const float* gate, const float* up, int64_t dim, float* y) {
  map_rows(gate, up, dim, y, [](const F16& g, const F16& u) {
    return mul(div(g, add(set(1.0f), exp16(sub(zero(), g)))), u);
  });
}

void combine(const float* out, int64_t ld_out, const int32_t* slot, const float* weight, int top_k,
             int64_t dim, float* y) {
  for (int64_t i = 0; i < dim; i += 16) {
    const int64_t n = dim - i < 16 ? dim - i : 16;
    F16 sum = zero();
    for (int k = 0; k < top_k; ++k) {
      const float* row = out + slot[k] * ld_out + i;
      sum = fma(set(weight[k]), n == 16 ? load(row) : load_tail(row, n, 0.0f), sum);
    }
    if (n == 16) {
      store(add(load(y + i), sum), y + i);
    } else {
      store_tail(add(load_tail(y + i, n, 0.0f), sum), n, y + i);
    }
  }
}

float row_max(const float* x, int64_t dim) {
  F16 top = set(-__builtin_inff());
  int64_t i = 0;
  for (; i + 16 <= dim; i += 16) top = max(load(x + i), top);
  if (i < dim) top = max(load_tail(x + i, dim - i, -__builtin_inff()), top);
  return max_of_lanes(top);
}

float sum_exp(const float* x, int64_t dim, float top) {
  F16 sum = zero();
  int64_t i = 0;
  for (; i + 16 <= dim; i += 16) sum = add(sum, exp16(sub(load(x + i), set(top))));
  if (i < dim) {
    const F16 last = exp16(sub(load_tail(x + i, dim - i, 0.0f), set(top)));
    sum = add(sum, keep_first(last, dim - i, 0.0f));
  }
  return fold_sum(sum);
}

void softmax(const float* x, int64_t dim, float* y) {
  const float top = row_max(x, dim);
  const F16 sum = set(sum_exp(x, dim, top));
  map_rows(x, x, dim, y,
           [&](const F16& a, const F16&) { return div(exp16(sub(a, set(top))), sum); });
}

float exp_one(float x) {
  float lanes[16];
  store(exp16(set(x)), lanes);
  return lanes[0];
}

void scale_row(float* x, int64_t dim, float factor) {
  map_rows(x, x, dim, x, [&](const F16& a, const F16&) { return mul(a, set(factor)); });
}

void multiply_row(float* x, const float* by, int64_t dim) {
  map_rows(x, by, dim, x, [](const F16& a, const F16& b) { return mul(a, b); });
}

void merge_row(float* x, float a, const float* y, float b, int64_t dim) {
  map_rows(x, y, dim, x,
           [&](const F16& u, const F16& v) { return fma(v, set(b), mul(u, set(a))); });
}
