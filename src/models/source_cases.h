// Models for the tests of weight sources.
#pragma once

#include <gtest/gtest.h>

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
