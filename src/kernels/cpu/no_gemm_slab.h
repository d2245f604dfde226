// For an ISA whose products of many tokens with bf16 are tiles of gemm like all others.

constexpr FloatPanels kBf16Panels = nullptr;
constexpr FloatPanels kBf16DotPanels = nullptr;
constexpr int64_t kBf16PanelTokens = 0;
