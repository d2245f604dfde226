// Which loops multiply so many tokens: the matrix unit's, where there is one, or those of vectors.

template <int kDType>
void block_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows,
                  int64_t tokens, float* out, int64_t ld_out) {
  using K = KindOf<kDType>;
  if constexpr (has_matrix_unit<K>()) {
    if (tokens >= kManyTokens)
      return by_slabs<MatrixSlabs<K, ManyTokens>, kDType>(panels, cols, rows, tokens, out, ld_out);
    if (tokens >= kTokensForMatrixUnit)
      return by_slabs<MatrixSlabs<K, SomeTokens>, kDType>(panels, cols, rows, tokens, out, ld_out);
  }
  vector_panels<kDType>(panels, cols, rows, tokens, out, ld_out);
}

template <int kDType>
constexpr BlockTiles tiles_of() {
  using K = KindOf<kDType>;
  return {slab_tokens(K::kMaxCode),
          kTilePanels,
          kFewTokens<K>,
          kStoredTile<K>,
          panel_pair_tokens(Format<kDType>::kLooksUp),
          SomeTokens::kPanelsAhead,
          kManyTokens,
          ManyTokens::kPanelsAhead,
          has_matrix_unit<K>() ? kListPanelsOfMatrixUnit : kMaxBlockPanels,
          kSlabCols,
          has_matrix_unit<K>() ? kTokensForMatrixUnit : 0};
}
