#include "models/checkpoint_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "weights/gguf_test_file.h"
#include "weights/test_files.h"

namespace sluice::models {
namespace {

using ::testing::HasSubstr;
using weights::GgufTestFile;

constexpr uint32_t kF32 = 0, kF16 = 1, kQ8_0 = 8;

ModelConfig one_layer() {
  ModelConfig model;
  model.hidden = 32;
  model.vocab = 8;
  const AttentionConfig attention{.q_heads = 2, .kv_heads = 1, .head_dim = 16};
  model.layers.assign(1, {attention, FfnConfig{.inter = 32, .experts = 2, .top_k = 1}});
  return model;
}

class CheckpointTensorsTest : public weights::WeightsDirectory {
 protected:
  // What is said of a file with all tensors of one_layer(), F32 but for those of `types`.
  std::string error(const std::map<std::string, uint32_t>& types, const char* left_out = "") {
    const ModelConfig model = one_layer();
    GgufTestFile file;
    std::map<std::string, tensor::Shape> shapes;
    for (const TensorSlot& slot : tensor_table(model, gguf_names(false)))
      shapes[slot.name] = slot.stored_shape;
    for (const auto& [name, shape] : shapes) {
      if (name == left_out) continue;
      const uint32_t type = types.contains(name) ? types.at(name) : kF32;
      std::vector<int64_t> dims;
      for (int axis = 0; axis < shape.rank; ++axis) dims.push_back(shape[axis]);
      const auto bytes = weights::stored_bytes(dims, *weights::find_gguf_dtype(type));
      file.tensor(name, dims, type, std::string(static_cast<size_t>(*bytes), '\0'));
    }
    const auto checkpoint = weights::open_checkpoint(write("m.gguf", file.write())).value();
    const Status status =
        check_tensors(model, tensor_table(model, names_in(checkpoint, model, kOlmoe)), checkpoint);
    return status ? "fits" : status.error().message;
  }
};

TEST_F(CheckpointTensorsTest, MatricesMayLieInBlocks) {
  EXPECT_EQ(error({}), "fits");
  EXPECT_EQ(error({{"token_embd.weight", kQ8_0},
                   {"blk.0.attn_q.weight", kQ8_0},
                   {"blk.0.ffn_down_exps.weight", kQ8_0}}),
            "fits");
}

TEST_F(CheckpointTensorsTest, NormsAndRoutersMayNot) {
  for (const char* name :
       {"output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_gate_inp.weight"}) {
    EXPECT_THAT(error({{name, kQ8_0}}),
                HasSubstr("m.gguf: tensor '" + std::string(name) + "' is stored as Q8_0"));
    EXPECT_EQ(error({{name, kF16}}), "fits");
  }
}

TEST_F(CheckpointTensorsTest, GateAndUpMayBeOfTwoTypes) {
  EXPECT_EQ(error({{"blk.0.ffn_gate_exps.weight", kQ8_0}, {"blk.0.ffn_up_exps.weight", kQ8_0}}),
            "fits");
  EXPECT_EQ(error({{"blk.0.ffn_gate_exps.weight", kQ8_0}}), "fits");
  EXPECT_EQ(error({{"blk.0.ffn_up_exps.weight", kQ8_0}}), "fits");
}

TEST_F(CheckpointTensorsTest, AMissingTensorIsNamed) {
  EXPECT_THAT(error({}, "output.weight"), HasSubstr("1 tensor is missing ('output.weight')"));
  EXPECT_THAT(error({}, "output.weight"), HasSubstr("its metadata and its tensors do not belong"));
}

}  // namespace
}  // namespace sluice::models
