#include <limits>

#include "kernels/cases.h"
#include "kernels/each_isa.h"
#include "kernels/gemm_tiles.h"
#include "kernels/op_table.h"
#include "kernels/reference/reference.h"

namespace sluice::kernels {
namespace {

using tensor::DType;
constexpr DType kDTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kBF16Dot};

TEST(Packed, EveryRowComesBack) {
  Random random(1);
  for (DType dtype : kDTypes) {
    for (const LinearCase& shape : kLinearEdges) {
      const RandomMatrix w(dtype, shape.rows, shape.cols, random);
      std::vector<float> row(static_cast<size_t>(shape.cols));
      for (int64_t r = 0; r < shape.rows; ++r) {
        unpack_row(w.matrix, r, row.data());
        for (int64_t c = 0; c < shape.cols; ++c) {
          const int64_t at = r * shape.cols + c;
          const std::byte* data = w.source().data;
          float expected = 0.0f;
          uint16_t half = 0;
          if (dtype == DType::kF32) {
            std::memcpy(&expected, data + at * 4, 4);
          } else {
            std::memcpy(&half, data + at * 2, 2);
            expected = dtype == DType::kF16 ? tensor::f16_to_f32(half) : tensor::bf16_to_f32(half);
          }
          ASSERT_EQ(row[static_cast<size_t>(c)], expected);
        }
      }
    }
  }
}

TEST(Linear, EveryIsaGivesTheReferencesBits) {
  Random random(2);
  for (DType dtype : kDTypes) {
    for (const LinearCase& shape : kLinearEdges) {
      const RandomMatrix w(dtype, shape.rows, shape.cols, random);
      const std::vector<float> bias = random.normals(shape.rows);
      for (int64_t tokens : kTokenEdges) {
        SCOPED_TRACE(std::string(tensor::info(dtype).name) + " " + std::to_string(shape.rows) +
                     "x" + std::to_string(shape.cols) + ", " + std::to_string(tokens) + " tokens");
        const int64_t ld_x = shape.cols + 1;
        const int64_t ld_y = shape.rows + 2;
        std::vector<float> x = random.normals(tokens * ld_x);
        for (int64_t t = 0; t < tokens; ++t)  // past the row's end: never read
          x[static_cast<size_t>(t * ld_x + shape.cols)] = std::numeric_limits<float>::quiet_NaN();
        const std::vector<float> before = random.normals(tokens * ld_y);
        const LinearOptions options{tokens % 2 == 0 ? bias.data() : nullptr, tokens % 3 == 0};
        std::vector<float> expected = before;
        reference::linear(w.matrix, x.data(), ld_x, tokens, expected.data(), ld_y, options);
        each_isa([&](const Exec& exec) {
          std::vector<float> y = before;
          linear(exec, w.matrix, x.data(), ld_x, tokens, y.data(), ld_y, options);
          ASSERT_TRUE(same_bits(y, expected));
        });
        if (HasFailure()) return;
      }
    }
  }
}

// NaN, infinities, outliers, zeros and denormals; and weights so small that products and sums are
// below the smallest normal float, which bf16_dot alone takes for 0.
TEST(Linear, EveryIsaGivesTheReferencesNumbersOfOddValues) {
  Random random(6);
  for (DType dtype : kDTypes) {
    for (float scale : {1.0f, 1e-37f, 1e-39f}) {
      const RandomMatrix w(dtype, 33, 301, random, scale);
      for (bool finite : {true, false}) {
        SCOPED_TRACE(std::string(tensor::info(dtype).name) + (finite ? ", finite" : ""));
        const std::vector<float> x = activations(7, 301, random, finite);
        std::vector<float> expected(static_cast<size_t>(7 * 33));
        reference::linear(w.matrix, x.data(), 301, 7, expected.data(), 33);
        each_isa([&](const Exec& exec) {
          std::vector<float> y(expected.size());
          linear(exec, w.matrix, x.data(), 301, 7, y.data(), 33);
          ASSERT_TRUE(same_numbers(y, expected));
        });
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Linear, SeveralProductsInOnePoolAreEachAsByItself) {
  Random random(3);
  // More panels than an item holds beside fewer than a thread gets, one of which adds to what is
  // there.
  const RandomMatrix wide(DType::kBF16, 1203, 33, random), narrow(DType::kF32, 5, 33, random),
      middle(DType::kF16, 203, 33, random);
  const std::vector<float> bias = random.normals(1203);
  const RandomMatrix* const matrices[] = {&wide, &narrow, &middle};
  for (int64_t tokens : {0, 1, 9, 145}) {
    const std::vector<float> x = random.normals(tokens * 33);
    std::vector<float> expected[3], y[3];
    for (size_t p = 0; p < 3; ++p) {
      const PackedMatrix& w = matrices[p]->matrix;
      const LinearOptions options{.bias = p == 0 ? bias.data() : nullptr, .accumulate = p == 2};
      expected[p].assign(static_cast<size_t>(tokens * w.rows), 0.5f);
      reference::linear(w, x.data(), 33, tokens, expected[p].data(), w.rows, options);
    }
    each_isa([&](const Exec& exec) {
      std::vector<Product> products;
      for (size_t p = 0; p < 3; ++p) {
        y[p].assign(expected[p].size(), 0.5f);
        const PackedMatrix& w = matrices[p]->matrix;
        products.push_back({&w, y[p].data(), w.rows, p == 0 ? bias.data() : nullptr, p == 2});
      }
      linear(exec, products, x.data(), 33, tokens);
      for (size_t p = 0; p < 3; ++p) ASSERT_TRUE(same_numbers(y[p], expected[p])) << p;
    });
  }
}

TEST(Linear, TheReferenceIsTheProduct) {
  Random random(4);
  for (DType dtype : kDTypes) {
    const RandomMatrix w(dtype, 37, 300, random);
    std::vector<float> x = random.normals(300);
    if (dtype == DType::kBF16Dot)
      for (float& value : x) value = tensor::bf16_to_f32(tensor::f32_to_bf16(value));
    std::vector<float> y(37), row(300);
    reference::linear(w.matrix, x.data(), 300, 1, y.data(), 37);
    for (size_t r = 0; r < 37; ++r) {
      unpack_row(w.matrix, static_cast<int64_t>(r), row.data());
      double sum = 0.0;
      for (size_t c = 0; c < 300; ++c) sum += double{row[c]} * double{x[c]};
      ASSERT_NEAR(double{y[r]}, sum, 1e-5);
    }
  }
}

struct GroupCase {
  const char* name;
  std::vector<int64_t> tokens;  // of each expert
};

TEST(Experts, EveryIsaGivesTheReferencesBits) {
  Random random(5);
  const std::vector<GroupCase> cases = {{"one token", {0, 1, 0}},
                                        {"uniform", {4, 4, 4, 4}},
                                        {"skewed", {0, 1, 90, 0, 13, 2}},
                                        {"none", {0, 0}}};
  for (DType dtype : kDTypes) {
    for (const LinearCase& shape : {LinearCase{40, 33}, LinearCase{16, 20}, LinearCase{150, 65}}) {
      const int64_t inter = shape.rows;
      const int64_t hidden = shape.cols;
      for (const GroupCase& group_case : cases) {
        SCOPED_TRACE(std::string(tensor::info(dtype).name) + " " + group_case.name);
        std::vector<std::unique_ptr<RandomMatrix>> matrices;
        std::vector<ExpertGroup> groups;
        int64_t slots = 0;
        for (int64_t tokens : group_case.tokens) {
          for (auto [rows, cols] : {LinearCase{inter, hidden}, {inter, hidden}, {hidden, inter}})
            matrices.push_back(std::make_unique<RandomMatrix>(dtype, rows, cols, random));
          const size_t n = matrices.size();
          groups.push_back({&matrices[n - 3]->matrix, &matrices[n - 2]->matrix,
                            &matrices[n - 1]->matrix, slots, tokens});
          slots += tokens;
        }
        const std::vector<float> x = random.normals(11 * hidden);
        std::vector<int32_t> token_of_slot;
        for (int64_t i = 0; i < slots; ++i)
          token_of_slot.push_back(static_cast<int32_t>(random.below(11)));
        std::vector<float> hidden_expected(static_cast<size_t>(slots * (inter + 1)), -1.0f);
        std::vector<float> out_expected(static_cast<size_t>(slots * (hidden + 2)), -1.0f);
        reference::expert_gate_up(groups, token_of_slot.data(), x.data(), hidden,
                                  hidden_expected.data(), inter + 1);
        reference::expert_down(groups, hidden_expected.data(), inter + 1, out_expected.data(),
                               hidden + 2);
        each_isa([&](const Exec& exec) {
          std::vector<float> h(hidden_expected.size(), -1.0f);
          std::vector<float> out(out_expected.size(), -1.0f);
          expert_gate_up(exec, groups, token_of_slot.data(), x.data(), hidden, h.data(), inter + 1);
          ASSERT_TRUE(same_bits(h, hidden_expected));
          expert_down(exec, groups, h.data(), inter + 1, out.data(), hidden + 2);
          ASSERT_TRUE(same_bits(out, out_expected));
        });
        if (HasFailure()) return;
      }
    }
  }
}

TEST(GemmPlan, CoversAllWorkAndPrints) {
  for (int64_t panels : {1, 7, 8, 9, 128, 3142}) {
    for (int64_t tokens : {1, 12, 72, 73, 512}) {
      for (int threads : {1, 2, 64}) {
        const GemmPlan plan = plan_gemm(panels, tokens, threads);
        EXPECT_GE(plan.panel_items * plan.panels_per_item, panels) << to_string(plan);
        EXPECT_GE(plan.token_items * plan.tokens_per_item, tokens) << to_string(plan);
        EXPECT_LT((plan.panel_items - 1) * plan.panels_per_item, panels) << to_string(plan);
        EXPECT_LE(plan.tokens_per_item, kMaxItemTokens);
      }
    }
  }
  EXPECT_EQ(plan_gemm(128, 0, 4).items(), 0);
  EXPECT_EQ(to_string(plan_gemm(128, 100, 1)), "4 x 2 items of 32 panels x 50 tokens");
}

}  // namespace
}  // namespace sluice::kernels
