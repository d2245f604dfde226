// Models for the tests of weight sources.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "models/load_tensor.h"
#include "models/weight_source.h"
#include "weights/test_files.h"

namespace sluice::models {

// Everything that a source borrows.
struct Case {
  FamilyModel model;
  std::unique_ptr<weights::Checkpoint> checkpoint;
  std::unique_ptr<WeightSource> source;
};

// One of tests/golden.
inline Case open_case(const std::string& name, const char* quant) {
  const std::string directory = std::string(SLUICE_SOURCE_DIR "/tests/golden/") + name;
  std::ifstream in(directory + "/config.json", std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  const Json json = base::parse_json(text.str()).value();
  Case c;
  c.model.family = find_family(json).value();
  c.model.config = c.model.family->read(json).value();
  c.checkpoint = std::make_unique<weights::Checkpoint>(weights::open_checkpoint(directory).value());
  c.source = checkpoint_source(c.model.config, *c.model.family, *c.checkpoint,
                               parse_quantization(quant).value())
                 .value();
  return c;
}

// Rubbish first, so that what a source does not write shows.
struct AlignedBytes {
  explicit AlignedBytes(int64_t size)
      : room(static_cast<size_t>(size + kernels::kPackAlignment), std::byte{0xcd}), bytes(size) {}
  std::byte* data() {
    const auto at = reinterpret_cast<uintptr_t>(room.data());
    return room.data() +
           (kernels::kPackAlignment - at % kernels::kPackAlignment) % kernels::kPackAlignment;
  }
  std::vector<std::byte> copy() { return {data(), data() + bytes}; }
  std::vector<std::byte> room;
  int64_t bytes;
};

inline std::vector<std::byte> tensor_bytes(WeightSource& source, size_t tensor,
                                           base::ThreadTeam& team) {
  AlignedBytes into(bytes_in_memory(source.table()[tensor], source.dtype(tensor)));
  const Status status = source.read(tensor, into.data(), team);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return into.copy();
}

inline std::vector<std::byte> page_bytes(WeightSource& source, int layer, int expert,
                                         base::ThreadTeam* team) {
  AlignedBytes into(source.page(layer).bytes);
  const Status status = source.read_page(layer, expert, into.data(), team);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return into.copy();
}

// Everything that load() reads, in one region as load_weights() lays it out; without experts if so.
struct Loaded {
  Loaded(WeightSource& source, bool experts, const LoadOptions& options)
      : room(bytes_of(source) + kLoadAlignment, std::byte{0xcd}) {
    const auto at = reinterpret_cast<uintptr_t>(room.data());
    std::byte* next = room.data() + (kLoadAlignment - at % kLoadAlignment) % kLoadAlignment;
    for (size_t i = 0; i < source.table().size(); ++i) {
      if (source.table()[i].is_expert() && !experts) continue;
      wanted.push_back({i, next});
      next += source.room(i);
    }
    base::ThreadTeam team(2);
    status = source.load(wanted, team, options);
  }
  static size_t bytes_of(const WeightSource& source) {
    int64_t bytes = 0;
    for (size_t i = 0; i < source.table().size(); ++i) bytes += source.room(i);
    return static_cast<size_t>(bytes);
  }
  std::vector<std::byte> room;
  std::vector<WeightSource::Wanted> wanted;
  Status status;
};

// With and without experts, from the page cache and past it.
inline void expect_load_gives_what_read_gives(WeightSource& source) {
  base::ThreadTeam team(2);
  for (const bool experts : {true, false}) {
    for (const bool from_page_cache : {true, false}) {
      int64_t done = 0, all = 0;
      const Loaded loaded(source, experts,
                          {.progress =
                               [&](int64_t now, int64_t total) {
                                 EXPECT_GE(now, done);
                                 done = now;
                                 all = total;
                               },
                           .from_page_cache = from_page_cache});
      ASSERT_TRUE(loaded.status.ok()) << loaded.status.error().message;
      EXPECT_EQ(done, all);
      EXPECT_GT(all, 0);
      for (const auto& [tensor, into] : loaded.wanted) {
        const auto expected = tensor_bytes(source, tensor, team);
        ASSERT_LE(static_cast<int64_t>(expected.size()), source.room(tensor));
        ASSERT_TRUE(std::equal(expected.begin(), expected.end(), into))
            << source.table()[tensor].name;
      }
    }
  }
}

inline ModelConfig one_moe_layer() {
  ModelConfig model;
  model.hidden = 32;
  model.vocab = 8;
  const AttentionConfig attention{.q_heads = 2, .kv_heads = 1, .head_dim = 16};
  model.layers.assign(1, {attention, FfnConfig{.inter = 32, .experts = 2, .top_k = 1}});
  return model;
}

// A Mixtral of that config, all zeros: F32, but expert 1 in BF16.
inline std::string mixed_safetensors(const ModelConfig& config) {
  Json header = Json::object();
  int64_t end = 0;
  for (const TensorSlot& tensor : tensor_table(config, kMixtral.names())) {
    const bool narrow = tensor.expert == 1;
    std::vector<int64_t> dims(tensor.shape.dims.begin(),
                              tensor.shape.dims.begin() + tensor.shape.rank);
    const int64_t bytes = tensor.shape.elements() * (narrow ? 2 : 4);
    header[tensor.name] = {
        {"dtype", narrow ? "BF16" : "F32"}, {"shape", dims}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  std::string file = weights::safetensors_bytes(weights::padded(base::to_line(header)), 0);
  return file.append(static_cast<size_t>(end), '\0');
}

}  // namespace sluice::models
