// Scales and minima out of a panel (block_layout.h), as floats. Include after an ISA's lanes.

// The scales of one panel, group by group.
template <int kDType>
class Scales {
 public:
  static constexpr tensor::BlockTraits kTraits = tensor::kBlockTraits[kDType];

  SLUICE_INLINE explicit Scales(const std::byte* scales) : scales_(scales) {}

  SLUICE_INLINE F16 scale(int64_t group) const {
    const std::byte* unit = unit_of(group);
    if constexpr (kTraits.scale == tensor::BlockScale::kE8M0) return load_e8m0_half(unit);
    const F16 d = load_half(unit);
    if constexpr (kTraits.scale == tensor::BlockScale::kHalf) return d;
    if constexpr (kTraits.nibble_scales) return mul(d, load_low_nibbles(whole(unit, group)));
    return mul(d, load_s8(whole(unit, group)));
  }

  SLUICE_INLINE F16 min(int64_t group) const {
    const std::byte* unit = unit_of(group);
    const F16 dmin = load_half(unit + 2 * kPanelRows);
    if constexpr (kTraits.scale == tensor::BlockScale::kHalf) return dmin;
    if constexpr (kTraits.nibble_scales) return mul(dmin, load_high_nibbles(whole(unit, group)));
    return mul(dmin, load_u8(whole(unit, group) + kPanelRows));
  }

 private:
  static constexpr int64_t kGroupsPerUnit = scale_unit_cols(kTraits) / kTraits.group;

  SLUICE_INLINE const std::byte* unit_of(int64_t group) const {
    return scales_ + group / kGroupsPerUnit * scale_unit_bytes(kTraits);
  }
  // The whole numbers of one group.
  SLUICE_INLINE static const std::byte* whole(const std::byte* unit, int64_t group) {
    constexpr int64_t kFields = kTraits.has_min ? 2 : 1;
    constexpr int64_t kPerGroup = kTraits.nibble_scales ? 1 : kFields;
    return unit + 2 * kPanelRows * kFields + group % kGroupsPerUnit * kPerGroup * kPanelRows;
  }

  const std::byte* scales_;
};
