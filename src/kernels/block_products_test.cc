// Products with block formats give the scalar reference's bits, on every ISA.
#include <limits>

#include "kernels/block_cases.h"
#include "kernels/each_isa.h"
#include "kernels/op_table.h"
#include "kernels/reference/block_products.h"
#include "kernels/reference/reference.h"

namespace sluice::kernels {
namespace {

// The activations of an op, quantized by it.
class Quantized {
 public:
  Quantized(const Exec& exec, const std::vector<float>& x, int64_t ld, int64_t rows, int64_t cols)
      : bytes_(rows * QuantizedRows::row_bytes(cols)), rows_{bytes_.data(), cols} {
    quantize_rows(exec, x.data(), ld, rows, cols, rows_);
  }
  const QuantizedRows* get() const { return &rows_; }
  const std::byte* row(int64_t r) const { return rows_.data + r * rows_.row_bytes(rows_.cols); }

 private:
  AlignedBytes bytes_;
  QuantizedRows rows_;
};

TEST(QuantizeRows, EveryIsaGivesTheReferencesCodes) {
  Random random(1);
  for (int64_t cols : {32, 64, 1056}) {
    const int64_t rows = 37;
    const std::vector<float> x = activations(rows, cols + 3, random, false);
    each_isa([&](const Exec& exec) {
      const Quantized quantized(exec, x, cols + 3, rows, cols);
      for (int64_t r = 0; r < rows; ++r) {
        const reference::CodedRow expected = reference::code_row(x.data() + r * (cols + 3), cols);
        const std::byte* row = quantized.row(r);
        for (int64_t k = 0; k < cols; ++k) {
          const int code = expected.code[static_cast<size_t>(k)];
          ASSERT_EQ(static_cast<int8_t>(row[k]), code) << "row " << r << ", " << k;
          const int64_t place = k % 4 == 1 ? 2 : k % 4 == 2 ? 1 : k % 4;
          int16_t wide = 0;
          std::memcpy(&wide, row + 2 * (cols + k / 4 * 4 + place), 2);
          ASSERT_EQ(wide, code);
        }
        for (int64_t s = 0; s < cols / kSpan; ++s) {
          int32_t halves[2] = {0, 0};
          for (int64_t k = 0; k < kSpan; ++k)
            halves[k / 16] += expected.code[static_cast<size_t>(s * kSpan + k)];
          const auto words = [&]<class Word>(QuantizedRows::Field field, int64_t at, Word expects) {
            Word word;
            std::memcpy(&word, row + QuantizedRows::field_at(cols, field) + at * 4, sizeof word);
            const auto as_float = [](Word w) { return static_cast<float>(w); };
            ASSERT_TRUE(same_numbers({as_float(word)}, {as_float(expects)})) << field;
          };
          const float scale = expected.scale[static_cast<size_t>(s)];
          const int32_t sum = halves[0] + halves[1];
          words(QuantizedRows::kScale, s, scale);
          words(QuantizedRows::kSum, s, sum);
          words(QuantizedRows::kScaledSum, s, -(scale * static_cast<float>(sum)));
          for (int64_t half = 0; half < 2; ++half) {
            words(QuantizedRows::kHalfSum, 2 * s + half, halves[half]);
            words(QuantizedRows::kScaledHalfSum, 2 * s + half,
                  -(scale * static_cast<float>(halves[half])));
          }
        }
      }
    });
  }
}

class BlockProducts : public testing::TestWithParam<tensor::DType> {};

INSTANTIATE_TEST_SUITE_P(Formats, BlockProducts, testing::ValuesIn(block_formats()), format_name);

TEST_P(BlockProducts, LinearGivesTheReferencesBits) {
  Random random(2);
  for (const LinearCase& shape : block_shapes(GetParam())) {
    const RandomBlocks w(GetParam(), shape.rows, shape.cols, random);
    const std::vector<float> bias = random.normals(shape.rows);
    for (int64_t tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 24, 73, 145}) {
      SCOPED_TRACE(std::to_string(shape.rows) + "x" + std::to_string(shape.cols) + ", " +
                   std::to_string(tokens) + " tokens");
      const std::vector<float> x = activations(tokens, shape.cols, random, tokens % 4 != 0);
      const int64_t ld_y = shape.rows + 2;
      const std::vector<float> before = random.normals(tokens * ld_y);
      LinearOptions options{tokens % 2 == 0 ? bias.data() : nullptr, tokens % 3 == 0};
      std::vector<float> expected = before;
      reference::linear(w.matrix, x.data(), shape.cols, tokens, expected.data(), ld_y, options);
      each_isa([&](const Exec& exec) {
        const Quantized quantized(exec, x, shape.cols, tokens, shape.cols);
        options.quantized = quantized.get();
        std::vector<float> y = before;
        linear(exec, w.matrix, nullptr, 0, tokens, y.data(), ld_y, options);
        ASSERT_TRUE(same_numbers(y, expected));
      });
      if (HasFailure()) return;
    }
  }
}

// Every code beside every activation: no sum of products may overflow on its way.
TEST_P(BlockProducts, TheLargestCodesTimesTheLargestActivationsAreExact) {
  const int64_t cols = 512;
  Random random(3);
  const RandomBlocks w(GetParam(), 16, cols, random);
  AlignedBytes packed(packed_bytes(GetParam(), 16, cols));
  std::memcpy(packed.data(), w.matrix.data,
              static_cast<size_t>(packed_bytes(GetParam(), 16, cols)));
  const tensor::BlockTraits& traits = tensor::block_traits(GetParam());
  std::memset(packed.data(), 0xff, static_cast<size_t>(code_bytes(traits, cols)));
  PackedMatrix matrix = w.matrix;
  matrix.data = packed.data();
  for (float sign : {1.0f, -1.0f}) {
    const std::vector<float> x(static_cast<size_t>(cols * 9), sign);
    std::vector<float> expected(16 * 9);
    reference::linear(matrix, x.data(), cols, 9, expected.data(), 16);
    each_isa([&](const Exec& exec) {
      const Quantized quantized(exec, x, cols, 9, cols);
      for (int64_t tokens : {1, 9}) {
        std::vector<float> y(static_cast<size_t>(16 * tokens));
        linear(exec, matrix, nullptr, 0, tokens, y.data(), 16, {.quantized = quantized.get()});
        ASSERT_TRUE(same_numbers(y, {expected.begin(), expected.begin() + 16 * tokens}));
      }
    });
  }
}

// Row r's scale is 2^(r - 128), by itself: beside others the smallest would not be seen. From 2^105
// on sums overflow that need not (block_tile.h).
TEST(BlockProducts, OfEveryScaleOfMxfp4AreExact) {
  constexpr int64_t kRows = 105 + 128, kCols = 32;
  Random random(5);
  const tensor::DType dtype = tensor::DType::kMXFP4;
  AlignedBytes stored(kRows * 17), packed(packed_bytes(dtype, kRows, kCols));
  for (int64_t i = 0; i < kRows * 17; ++i)
    stored.data()[i] = static_cast<std::byte>(i % 17 == 0 ? i / 17 : random.below(256));
  const PackedMatrix matrix{dtype, Layout::kRows16, kRows, kCols, packed.data()};
  pack_panels({dtype, {kRows, kCols}, stored.data()}, 0, matrix.panels(), packed.data());
  for (float unit : {0x1p20f, 1.0f}) {
    std::vector<float> x = random.normals(kCols * 2);
    for (float& value : x) value *= unit;
    std::vector<float> expected(kRows * 2);
    reference::linear(matrix, x.data(), kCols, 2, expected.data(), kRows);
    ASSERT_NE(expected[0], 0.0f);
    each_isa([&](const Exec& exec) {
      const Quantized quantized(exec, x, kCols, 2, kCols);
      for (int64_t tokens : {1, 2}) {
        std::vector<float> y(static_cast<size_t>(kRows * tokens));
        linear(exec, matrix, nullptr, 0, tokens, y.data(), kRows, {.quantized = quantized.get()});
        ASSERT_TRUE(same_numbers(y, {expected.begin(), expected.begin() + kRows * tokens}));
      }
    });
  }
}

TEST_P(BlockProducts, TheReferenceIsTheProduct) {
  Random random(4);
  const int64_t cols = 512;
  const RandomBlocks w(GetParam(), 37, cols, random);
  const std::vector<float> x = random.normals(cols);
  std::vector<float> y(37), row(static_cast<size_t>(cols));
  reference::linear(w.matrix, x.data(), cols, 1, y.data(), 37);
  for (int64_t r = 0; r < 37; ++r) {
    unpack_row(w.matrix, r, row.data());
    double sum = 0.0, squares = 0.0;
    for (size_t k = 0; k < row.size(); ++k) {
      sum += double{row[k]} * double{x[k]};
      squares += double{row[k]} * double{row[k]};
    }
    // A code's error is uniform over a step of (largest of 32 normals) / 127.
    const double step = 3.5 / 127;
    EXPECT_NEAR(double{y[static_cast<size_t>(r)]}, sum, 6 * std::sqrt(squares / 12) * step);
  }
}

TEST_P(BlockProducts, ExpertsGiveTheReferencesBits) {
  Random random(5);
  const int64_t unit = tensor::info(GetParam()).block_elements;
  const int64_t inter = unit, hidden = unit == 256 ? 512 : 96;
  for (const std::vector<int64_t>& tokens :
       std::vector<std::vector<int64_t>>{{0, 1, 0}, {4, 4, 4, 4}, {0, 1, 90, 0, 13, 2}, {0, 0}}) {
    std::vector<std::unique_ptr<RandomBlocks>> matrices;
    std::vector<ExpertGroup> groups;
    std::vector<int32_t> token_of_slot;
    int64_t slots = 0;
    for (int64_t count : tokens) {
      for (auto [rows, cols] : {LinearCase{inter, hidden}, {inter, hidden}, {hidden, inter}})
        matrices.push_back(std::make_unique<RandomBlocks>(GetParam(), rows, cols, random));
      const size_t n = matrices.size();
      groups.push_back({&matrices[n - 3]->matrix, &matrices[n - 2]->matrix,
                        &matrices[n - 1]->matrix, slots, count});
      slots += count;
    }
    for (int64_t i = 0; i < slots; ++i)
      token_of_slot.push_back(static_cast<int32_t>(random.below(11)));
    const std::vector<float> x = activations(11, hidden, random);
    std::vector<float> h_expected(static_cast<size_t>(slots * inter));
    std::vector<float> out_expected(static_cast<size_t>(slots * hidden));
    reference::expert_gate_up(groups, token_of_slot.data(), x.data(), hidden, h_expected.data(),
                              inter);
    reference::expert_down(groups, h_expected.data(), inter, out_expected.data(), hidden);
    each_isa([&](const Exec& exec) {
      const Quantized of_x(exec, x, hidden, 11, hidden);
      std::vector<float> h(h_expected.size()), out(out_expected.size());
      expert_gate_up(exec, groups, token_of_slot.data(), nullptr, 0, h.data(), inter, of_x.get());
      ASSERT_TRUE(same_numbers(h, h_expected));
      const Quantized of_h(exec, h, inter, slots, inter);
      expert_down(exec, groups, nullptr, 0, out.data(), hidden, of_h.get());
      ASSERT_TRUE(same_numbers(out, out_expected));
    });
    if (HasFailure()) return;
  }
}

TEST_P(BlockProducts, GateAndUpOfTwoTypesGiveTheReferencesBits) {
  Random random(6);
  const int64_t inter = 33, hidden = tensor::info(GetParam()).block_elements == 256 ? 512 : 288;
  const RandomBlocks blocks(GetParam(), inter, hidden, random);
  const RandomBlocks others(tensor::DType::kQ8_0, inter, hidden, random);
  const RandomMatrix floats(tensor::DType::kBF16, inter, hidden, random);
  const std::vector<ExpertGroup> groups = {
      {.gate = &blocks.matrix, .up = &others.matrix, .first_slot = 0, .tokens = 1},
      {.gate = &others.matrix, .up = &blocks.matrix, .first_slot = 1, .tokens = 90},
      {.gate = &blocks.matrix, .up = &floats.matrix, .first_slot = 91, .tokens = 13},
      {.gate = &floats.matrix, .up = &blocks.matrix, .first_slot = 104, .tokens = 4}};
  constexpr int64_t kSlots = 108, kTokens = 11;
  std::vector<int32_t> token_of_slot;
  for (int64_t i = 0; i < kSlots; ++i)
    token_of_slot.push_back(static_cast<int32_t>(random.below(kTokens)));
  const std::vector<float> x = random.normals(kTokens * hidden);
  std::vector<float> expected(static_cast<size_t>(kSlots * inter));
  reference::expert_gate_up(groups, token_of_slot.data(), x.data(), hidden, expected.data(), inter);
  each_isa([&](const Exec& exec) {
    const Quantized of_x(exec, x, hidden, kTokens, hidden);
    std::vector<float> h(expected.size());
    expert_gate_up(exec, groups, token_of_slot.data(), x.data(), hidden, h.data(), inter,
                   of_x.get());
    ASSERT_TRUE(same_bits(h, expected));
  });
}

}  // namespace
}  // namespace sluice::kernels
