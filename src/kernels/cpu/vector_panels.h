// Products by vectors alone, by the number of tokens.

template <int kDType>
void vector_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows,
                   int64_t tokens, float* out, int64_t ld_out) {
  using K = KindOf<kDType>;
  if (tokens >= kManyTokens)
    return by_slabs<VectorSlabs<K, ManyTokens>, kDType>(panels, cols, rows, tokens, out, ld_out);
  if (tokens > kFewTokens<K>)
    return by_slabs<VectorSlabs<K, SomeTokens>, kDType>(panels, cols, rows, tokens, out, ld_out);
  by_stored_panels<kDType>(panels, cols, rows, tokens, out, ld_out);
}
