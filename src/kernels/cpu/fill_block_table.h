// The block table of one ISA, from what was included before it.

template <int kDType>
constexpr void fill_panels(BlockTable& table) {
  if constexpr (kDType < tensor::kDTypes) {
    table.panels[kDType] = &block_panels<kDType>;
    table.tiles[kDType] = tiles_of<kDType>();
    fill_panels<kDType + 1>(table);
  }
}

constexpr BlockTable make_block_table() {
  BlockTable table{};
  fill_panels<tensor::kFloatDTypes>(table);
  table.quantize_row = &quantize_row;
  table.dot_loop = dot_loop;
  table.dot_ops = kDotOps;
  return table;
}
