// Scales and minima out of a panel (block_layout.h), as floats. Include after an ISA's lanes.

// The scales of 256 values of one panel, or of a span (scale_unit_cols()), group by group.
template <int kDType>
class Scales {
 public:
  static constexpr tensor::BlockTraits kTraits = tensor::kBlockTraits[kDType];
  static constexpr int64_t kGroups = scale_unit_cols(kTraits) / kTraits.group;

  Scales() = default;
  // Of unit `index` of the panel whose scales begin at `scales`.
  SLUICE_INLINE Scales(const std::byte* scales, int64_t index)
      : unit_(scales + index * scale_unit_bytes(kTraits)) {
    if constexpr (kTraits.scale == tensor::BlockScale::kE8M0) {
      d_ = load_e8m0_half(unit_);
    } else {
      d_ = load_half(unit_);
    }
    if constexpr (kTraits.has_min) dmin_ = load_half(unit_ + 2 * kPanelRows);
  }

  SLUICE_INLINE F16 scale(int64_t group) const {
    if constexpr (kTraits.scale != tensor::BlockScale::kHalfTimes) return d_;
    if constexpr (kTraits.nibble_scales) return mul(d_, load_low_nibbles(whole(group)));
    return mul(d_, load_s8(whole(group)));
  }

  SLUICE_INLINE F16 min(int64_t group) const {
    if constexpr (kTraits.scale == tensor::BlockScale::kHalf) return dmin_;
    if constexpr (kTraits.nibble_scales) return mul(dmin_, load_high_nibbles(whole(group)));
    return mul(dmin_, load_u8(whole(group) + kPanelRows));
  }

 private:
  // The whole numbers of one group.
  SLUICE_INLINE const std::byte* whole(int64_t group) const {
    constexpr int64_t kFields = kTraits.has_min ? 2 : 1;
    constexpr int64_t kPerGroup = kTraits.nibble_scales ? 1 : kFields;
    return unit_ + 2 * kPanelRows * kFields + group * kPerGroup * kPanelRows;
  }

  const std::byte* unit_;
  F16 d_;
  F16 dmin_;
};
