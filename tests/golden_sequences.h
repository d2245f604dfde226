// The sequences of a golden.safetensors (tests/golden/README.md), run through a model that must
// give the same.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "straight_model.h"
#include "weights/checkpoint.h"

namespace sluice::tests {

constexpr float kGoldenTolerance = 1e-3f;

// A tensor of golden.safetensors as T.
template <class T>
std::vector<T> golden_tensor(const weights::Checkpoint& golden, const std::string& name) {
  const weights::TensorEntry* entry = golden.find(name);
  if (entry == nullptr) return {};
  std::vector<T> values(static_cast<size_t>(entry->bytes) / sizeof(T));
  std::memcpy(values.data(), golden.files()[0].data().data() + entry->offset,
              static_cast<size_t>(entry->bytes));
  return values;
}

inline int32_t argmax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Runs one sequence in chunks of `chunk` tokens, then greedily.
inline void check_sequence(StraightModel& model, const weights::Checkpoint& golden, int index,
                           int64_t chunk) {
  const std::string suffix = "_" + std::to_string(index);
  const auto prompt = golden_tensor<int32_t>(golden, "input_ids" + suffix);
  const auto logits = golden_tensor<float>(golden, "logits" + suffix);
  const auto positions = golden_tensor<int32_t>(golden, "logit_positions" + suffix);
  const auto greedy = golden_tensor<int32_t>(golden, "greedy" + suffix);
  ASSERT_FALSE(prompt.empty());
  ASSERT_GE(greedy.size(), 64u);
  const auto vocab = static_cast<size_t>(model.config().vocab);
  ASSERT_EQ(logits.size(), positions.size() * vocab);

  model.restart(static_cast<int64_t>(prompt.size()));
  size_t next = 0;
  int32_t token = 0;
  for (size_t first = 0; first < prompt.size(); first += static_cast<size_t>(chunk)) {
    const size_t count = std::min(static_cast<size_t>(chunk), prompt.size() - first);
    const auto got = model.append(std::span(prompt).subspan(first, count));
    for (; next < positions.size() && static_cast<size_t>(positions[next]) < first + count;
         ++next) {
      const size_t row = static_cast<size_t>(positions[next]) - first;
      for (size_t v = 0; v < vocab; ++v) {
        ASSERT_NEAR(got[row * vocab + v], logits[next * vocab + v], kGoldenTolerance)
            << "position " << positions[next] << ", token " << v;
      }
    }
    token = argmax(got.last(vocab));
  }
  EXPECT_EQ(next, positions.size());
  const auto greedy_logits = golden_tensor<float>(golden, "greedy_logits" + suffix);
  for (size_t i = 0; i < greedy.size(); ++i) {
    ASSERT_EQ(token, greedy[i]) << "generated token " << i;
    const auto got = model.append({&token, 1});
    for (size_t v = 0; v < vocab && (i + 2) * vocab <= greedy_logits.size(); ++v) {
      ASSERT_NEAR(got[v], greedy_logits[(i + 1) * vocab + v], kGoldenTolerance)
          << "generated " << i;
    }
    token = argmax(got);
  }
}

// All sequences of a golden, whole and in small chunks.
inline void check_sequences(StraightModel& model, const weights::Checkpoint& golden) {
  int sequences = 0;
  for (; golden.find("input_ids_" + std::to_string(sequences)) != nullptr; ++sequences) {
    for (int64_t chunk : {256, 37}) check_sequence(model, golden, sequences, chunk);
  }
  EXPECT_GT(sequences, 0);
}

}  // namespace sluice::tests
