#include <cmath>
#include <limits>
#include <map>

#include "kernels/cases.h"
#include "kernels/each_isa.h"
#include "kernels/reference/reference.h"

namespace sluice::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Sequences whose keys and values lie in shuffled blocks of a cache that is otherwise NaN.
class AttendSetup {
 public:
  AttendSetup(const AttendCase& shape, const std::vector<SpanCase>& spans, uint32_t seed)
      : shape_(shape), random_(seed) {
    cache_.layout = {shape.kv_heads, shape.key_dim, shape.value_dim, shape.block_tokens};
    cache_.block_stride = cache_.layout.block_bytes() + 64;
    int32_t blocks = 0;
    for (const SpanCase& span : spans) {
      const int64_t keys = span.first_position + span.rows;
      const int64_t count = (keys + shape.block_tokens - 1) / shape.block_tokens;
      tables_.emplace_back();
      for (int64_t i = 0; i < count; ++i) tables_.back().push_back(blocks++);
      std::reverse(tables_.back().begin(), tables_.back().end());
    }
    storage_.assign(static_cast<size_t>(blocks * cache_.block_stride / 4), kNaN);
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
  const std::vector<AttendSequence>& sequences() const { return sequences_; }
  const std::vector<float>& keys(size_t sequence) const { return keys_[sequence]; }
  const std::vector<float>& values(size_t sequence) const { return values_[sequence]; }

 private:
  void fill(const std::vector<int32_t>& table, int64_t keys) {
    const int64_t key_width = int64_t{shape_.kv_heads} * shape_.key_dim;
    const int64_t value_width = int64_t{shape_.kv_heads} * shape_.value_dim;
    keys_.push_back(random_.normals(keys * key_width, 1.5f));
    values_.push_back(random_.normals(keys * value_width));
    std::vector<int64_t> slots;
    for (int64_t i = 0; i < keys; ++i) {
      slots.push_back(table[static_cast<size_t>(i / shape_.block_tokens)] * shape_.block_tokens +
                      i % shape_.block_tokens);
    }
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

class AttendShapes : public testing::TestWithParam<size_t> {};

TEST_P(AttendShapes, EveryIsaGivesTheReferencesBits) {
  const AttendCase& shape = kAttendEdges[GetParam()];
  auto seed = static_cast<uint32_t>(GetParam() * std::size(kSpans)) + 1;
  for (const SpanCase& span : kSpans) {
    SCOPED_TRACE("heads " + std::to_string(shape.q_heads) + "/" + std::to_string(shape.kv_heads) +
                 " dims " + std::to_string(shape.key_dim) + "/" + std::to_string(shape.value_dim) +
                 " rows " + std::to_string(span.rows) + " at " +
                 std::to_string(span.first_position));
    const AttendSetup setup(shape, {span}, seed++);
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

INSTANTIATE_TEST_SUITE_P(Edges, AttendShapes, testing::Range<size_t>(0, std::size(kAttendEdges)));

TEST(Attend, ManySequencesInOneCallAreTheSameAsAlone) {
  const AttendCase shape = kAttendEdges[1];
  const std::vector<SpanCase> few(std::begin(kSpans), std::begin(kSpans) + 8);
  const std::vector<SpanCase> all(std::begin(kSpans), std::end(kSpans));
  for (const auto& spans : {few, all}) {
    const AttendSetup setup(shape, spans, 77);
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

TEST(Attend, TheReferenceIsTheSoftmaxAverage) {
  const AttendCase shape{4, 2, 20, 24, 16};
  const AttendSetup setup(shape, {{600, 3}, {0, 20}}, 5);
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

TEST(Attend, StoringKeysAndValuesMatchesTheReference) {
  const KvLayerView shape{{3, 20, 12, 32}, nullptr, 0};
  KvLayerView cache = shape;
  cache.block_stride = cache.layout.block_bytes();
  Random random(3);
  const int64_t tokens = 37;
  const std::vector<float> keys = random.normals(tokens * 61);
  const std::vector<float> values = random.normals(tokens * 40);
  std::vector<int64_t> slots;
  for (int64_t t = 0; t < tokens; ++t) slots.push_back((t * 7) % 96);
  std::vector<float> expected(static_cast<size_t>(3 * cache.block_stride / 4), 0.0f);
  cache.base = reinterpret_cast<std::byte*>(expected.data());
  reference::store_kv(cache, keys.data(), 61, values.data(), 40, slots.data(), tokens);
  each_isa([&](const Exec& exec) {
    std::vector<float> storage(expected.size(), 0.0f);
    cache.base = reinterpret_cast<std::byte*>(storage.data());
    store_kv(exec, cache, keys.data(), 61, values.data(), 40, slots.data(), tokens);
    ASSERT_TRUE(same_bits(storage, expected));
  });
}

}  // namespace
}  // namespace sluice::kernels
