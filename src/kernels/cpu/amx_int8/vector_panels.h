// What the matrix unit does not multiply, the vectors of avx512_vnni do: compiled once, in its
// table.

template <int kDType>
void vector_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows,
                   int64_t tokens, float* out, int64_t ld_out) {
  avx512_vnni::kBlockTable.panels[kDType](panels, cols, rows, tokens, out, ld_out);
}
