#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "kernels/cases.h"
#include "kernels/each_isa.h"
#include "kernels/reference/reference.h"

namespace sluice::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
// A NaN of every type, and of the scales of q8.
const auto kHole = std::bit_cast<float>(0xffffffffu);

// Sequences whose keys and values lie in shuffled blocks of a cache that is otherwise NaN.
class AttendSetup {
 public:
  AttendSetup(const AttendCase& shape, KvDType dtype, const std::vector<SpanCase>& spans,
              uint32_t seed)
      : shape_(shape), random_(seed) {
    cache_.layout = {shape.kv_heads, shape.key_dim, shape.value_dim, shape.block_tokens, dtype};
    cache_.block_stride = cache_.layout.block_bytes() + 64;
    int32_t blocks = 0;
    for (const SpanCase& span : spans) {
      const int64_t keys = span.first_position + span.rows;
      const int64_t count = (keys + shape.block_tokens - 1) / shape.block_tokens;
      tables_.emplace_back();
      for (int64_t i = 0; i < count; ++i) tables_.back().push_back(blocks++);
      std::reverse(tables_.back().begin(), tables_.back().end());
    }
    storage_.assign(static_cast<size_t>(blocks * cache_.block_stride / 4), kHole);
    cache_.base = reinterpret_cast<std::byte*>(storage_.data());
    for (size_t i = 0; i < spans.size(); ++i) {
      sequences_.push_back({tables_[i].data(), rows_, spans[i].rows, spans[i].first_position});
      rows_ += spans[i].rows;
      fill(tables_[i], spans[i].first_position + spans[i].rows);
    }
    q_ = random_.normals(rows_ * ld_q(), 0.5f);
  }

  int64_t ld_q() const { return int64_t{shape_.q_heads} * shape_.key_dim + 3; }
  int64_t ld_out() const { return int64_t{shape_.q_heads} * shape_.value_dim + 5; }
  std::vector<float> blank() const {
    return std::vector<float>(static_cast<size_t>(rows_ * ld_out()), -7.0f);
  }
  AttendArgs args(std::vector<float>& out) const {
    AttendArgs args;
    args.cache = cache_;
    args.sequences = sequences_;
    args.q = q_.data();
    args.ld_q = ld_q();
    args.out = out.data();
    args.ld_out = ld_out();
    args.q_heads = shape_.q_heads;
    args.scale = 1.0f / std::sqrt(static_cast<float>(shape_.key_dim));
    return args;
  }
  int64_t rows() const { return rows_; }
  // Overwrites what a position of a sequence holds.
  void store(size_t sequence, int64_t position, const std::vector<float>& key,
             const std::vector<float>& value) {
    const int64_t slot = slot_of(tables_[sequence], position);
    reference::store_kv(cache_, key.data(), 0, value.data(), 0, &slot, 1);
  }
  const std::vector<AttendSequence>& sequences() const { return sequences_; }
  const std::vector<float>& keys(size_t sequence) const { return keys_[sequence]; }
  const std::vector<float>& values(size_t sequence) const { return values_[sequence]; }

 private:
  int64_t slot_of(const std::vector<int32_t>& table, int64_t position) const {
    return table[static_cast<size_t>(position / shape_.block_tokens)] * shape_.block_tokens +
           position % shape_.block_tokens;
  }
  void fill(const std::vector<int32_t>& table, int64_t keys) {
    const int64_t key_width = int64_t{shape_.kv_heads} * shape_.key_dim;
    const int64_t value_width = int64_t{shape_.kv_heads} * shape_.value_dim;
    keys_.push_back(random_.normals(keys * key_width, 1.5f));
    values_.push_back(random_.normals(keys * value_width));
    std::vector<int64_t> slots;
    for (int64_t i = 0; i < keys; ++i) slots.push_back(slot_of(table, i));
    reference::store_kv(cache_, keys_.back().data(), key_width, values_.back().data(), value_width,
                        slots.data(), keys);
  }

  AttendCase shape_;
  Random random_;
  KvLayerView cache_;
  std::vector<std::vector<int32_t>> tables_;
  std::vector<float> storage_, q_;
  std::vector<std::vector<float>> keys_, values_;
  std::vector<AttendSequence> sequences_;
  int64_t rows_ = 0;
};

struct ShapeCase {
  size_t edge;
  KvDType dtype;
};

void PrintTo(const ShapeCase& shape, std::ostream* out) {
  *out << "edge " << shape.edge << " " << name(shape.dtype);
}

// f32 over all spans, the others over every third, another third with the next shape.
std::vector<SpanCase> spans_of(const ShapeCase& shape) {
  std::vector<SpanCase> spans;
  for (size_t i = 0; i < std::size(kSpans); ++i)
    if (shape.dtype == KvDType::kF32 || i % 3 == shape.edge % 3) spans.push_back(kSpans[i]);
  return spans;
}

class AttendShapes : public testing::TestWithParam<ShapeCase> {};

TEST_P(AttendShapes, EveryIsaGivesTheReferencesBits) {
  const AttendCase& shape = kAttendEdges[GetParam().edge];
  auto seed = static_cast<uint32_t>(GetParam().edge * std::size(kSpans)) + 1;
  for (const SpanCase& span : spans_of(GetParam())) {
    SCOPED_TRACE("heads " + std::to_string(shape.q_heads) + "/" + std::to_string(shape.kv_heads) +
                 " dims " + std::to_string(shape.key_dim) + "/" + std::to_string(shape.value_dim) +
                 " rows " + std::to_string(span.rows) + " at " +
                 std::to_string(span.first_position));
    const AttendSetup setup(shape, GetParam().dtype, {span}, seed++);
    std::vector<float> expected = setup.blank();
    reference::attend(setup.args(expected));
    std::vector<float> scratch(static_cast<size_t>(attend_scratch_floats(
        setup.rows(), shape.q_heads, shape.value_dim, span.first_position + span.rows)));
    each_isa([&](const Exec& exec) {
      std::vector<float> out = setup.blank();
      AttendArgs args = setup.args(out);
      args.scratch = scratch.empty() ? nullptr : scratch.data();
      attend(exec, args);
      ASSERT_TRUE(same_bits(out, expected));
    });
    if (HasFatalFailure() || HasFailure()) return;
  }
}

std::vector<ShapeCase> every_shape() {
  std::vector<ShapeCase> all;
  for (KvDType dtype : all_kv_dtypes())
    for (size_t i = 0; i < std::size(kAttendEdges); ++i) all.push_back({i, dtype});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Edges, AttendShapes, testing::ValuesIn(every_shape()), [](const auto& of) {
  return std::to_string(of.param.edge) + "_" + name(of.param.dtype);
});

class Attend : public testing::TestWithParam<KvDType> {};

TEST_P(Attend, ManySequencesInOneCallAreTheSameAsAlone) {
  const AttendCase shape = kAttendEdges[1];
  const std::vector<SpanCase> few(std::begin(kSpans), std::begin(kSpans) + 8);
  const std::vector<SpanCase> all(std::begin(kSpans), std::end(kSpans));
  for (const auto& spans : {few, all}) {
    const AttendSetup setup(shape, GetParam(), spans, 77);
    std::vector<float> expected = setup.blank();
    reference::attend(setup.args(expected));
    std::vector<float> scratch(static_cast<size_t>(
        attend_scratch_floats(setup.rows(), shape.q_heads, shape.value_dim, 1101)));
    each_isa([&](const Exec& exec) {
      std::vector<float> out = setup.blank();
      AttendArgs args = setup.args(out);
      args.scratch = scratch.data();
      attend(exec, args);
      ASSERT_TRUE(same_bits(out, expected));
    });
  }
}

// Keys are normal with deviation 1.5, values with 1. Half a step of the type at a value of 4 is
// 0.001, 0.008 and 0.016; the keys' own rounding adds less than as much again.
TEST_P(Attend, IsNearThatOfF32) {
  const float tolerance[kKvDTypes] = {0.0f, 0.002f, 0.016f, 0.032f};
  const AttendCase shape = kAttendEdges[4];
  const std::vector<SpanCase> spans = {{0, 70}, {300, 1}, {500, 30}};
  const AttendSetup exact(shape, KvDType::kF32, spans, 9);
  const AttendSetup rounded(shape, GetParam(), spans, 9);
  std::vector<float> expected = exact.blank();
  std::vector<float> got = rounded.blank();
  reference::attend(exact.args(expected));
  reference::attend(rounded.args(got));
  float most = 0.0f;
  for (size_t i = 0; i < got.size(); ++i) most = std::max(most, std::fabs(got[i] - expected[i]));
  EXPECT_LE(most, tolerance[static_cast<size_t>(GetParam())]);
  if (GetParam() != KvDType::kF32) {
    EXPECT_GT(most, 0.0f);
  }
}

TEST_P(Attend, WhatIsNoNumberReachesOnlyTheRowsThatSeeIt) {
  const AttendCase shape = kAttendEdges[2];
  const auto vector = [](int64_t dim, float at_3) {
    std::vector<float> x(static_cast<size_t>(dim), 0.25f);
    x[3] = at_3;
    return x;
  };
  AttendSetup setup(shape, GetParam(), {{0, 70}}, 6);
  std::vector<float> clean = setup.blank();
  reference::attend(setup.args(clean));
  for (const bool in_key : {true, false}) {
    setup.store(0, 41, vector(shape.key_dim, in_key ? kNaN : 1.0f),
                vector(shape.value_dim, in_key ? 1.0f : kNaN));
    each_isa([&](const Exec& exec) {
      std::vector<float> out = setup.blank();
      attend(exec, setup.args(out));
      const auto width = static_cast<size_t>(setup.ld_out());
      for (size_t row = 0; row < 70; ++row) {
        const float got = out[row * width + 3];
        ASSERT_EQ(std::isnan(got), row >= 41) << "row " << row;
        if (row < 41) {
          ASSERT_EQ(got, clean[row * width + 3]) << "row " << row;
        }
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Attend, testing::ValuesIn(all_kv_dtypes()),
                         [](const auto& of) { return std::string(name(of.param)); });

TEST(AttendReference, IsTheSoftmaxAverage) {
  const AttendCase shape{4, 2, 20, 24, 16};
  const AttendSetup setup(shape, KvDType::kF32, {{600, 3}, {0, 20}}, 5);
  std::vector<float> out = setup.blank();
  reference::attend(setup.args(out));
  const AttendArgs args = setup.args(out);
  for (size_t s = 0; s < 2; ++s) {
    const AttendSequence& sequence = setup.sequences()[s];
    for (int64_t row = 0; row < sequence.rows; ++row) {
      for (int64_t h = 0; h < shape.q_heads; ++h) {
        const int64_t kv = h / 2;
        std::vector<double> weight;
        double sum = 0.0;
        for (int64_t key = 0; key <= sequence.first_position + row; ++key) {
          double score = 0.0;
          for (int64_t d = 0; d < shape.key_dim; ++d)
            score +=
                double{args.q[(sequence.first_row + row) * args.ld_q + h * shape.key_dim + d]} *
                double{setup.keys(s)[static_cast<size_t>((key * 2 + kv) * shape.key_dim + d)]};
          weight.push_back(std::exp(score * double{args.scale}));
          sum += weight.back();
        }
        for (int64_t d = 0; d < shape.value_dim; ++d) {
          double mean = 0.0;
          for (size_t key = 0; key < weight.size(); ++key)
            mean +=
                weight[key] / sum *
                double{setup.values(
                    s)[(key * 2 + static_cast<size_t>(kv)) * static_cast<size_t>(shape.value_dim) +
                       static_cast<size_t>(d)]};
          const float got =
              args.out[(sequence.first_row + row) * args.ld_out + h * shape.value_dim + d];
          ASSERT_NEAR(double{got}, mean, 2e-6);
        }
      }
    }
  }
}

}  // namespace
}  // namespace sluice::kernels
