#include "models/tensors.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace sluice::models {
namespace {

ModelConfig two_layers() {
  ModelConfig model;
  model.hidden = 24;
  model.vocab = 10;
  AttentionConfig attention{.q_heads = 3, .kv_heads = 1, .head_dim = 8};
  attention.qkv_bias = true;
  model.layers.assign(2, {attention, FfnConfig{.inter = 5, .experts = 4, .top_k = 2}});
  return model;
}

std::map<std::string, TensorSlot> by_name(const TensorNames& names) {
  std::map<std::string, TensorSlot> table;
  for (TensorSlot& slot : tensor_table(two_layers(), names)) table[slot.name] = slot;
  return table;
}

TEST(Tensors, GgufNamesThemOtherwise) {
  const auto table = by_name(gguf_names(false));
  for (const char* name :
       {"token_embd.weight", "output.weight", "output_norm.weight", "blk.1.attn_norm.weight",
        "blk.1.attn_q.weight", "blk.1.attn_q.bias", "blk.0.attn_output.weight",
        "blk.0.ffn_norm.weight", "blk.0.ffn_gate_inp.weight", "blk.0.ffn_down_exps.weight"}) {
    EXPECT_TRUE(table.contains(name)) << name;
  }
  const TensorSlot& last = table.at("blk.1.ffn_up_exps.weight");  // of the last expert
  EXPECT_EQ(last.stored_shape, (tensor::Shape{4, 5, 24}));
  EXPECT_EQ(last.shape, (tensor::Shape{5, 24}));
  EXPECT_EQ(last.expert, 3);
  EXPECT_EQ(last.first_row, 15);
  for (const auto& [name, slot] : table) EXPECT_EQ(slot.rotary_heads, 0) << name;
}

TEST(Tensors, RotaryPartnersLieBesideEachOtherInQAndKAlone) {
  for (const auto& [name, slot] : by_name(gguf_names(true))) {
    const bool q = name.find("attn_q.") != std::string::npos;
    const bool k = name.find("attn_k.") != std::string::npos;
    EXPECT_EQ(slot.rotary_heads, q ? 3 : k ? 1 : 0) << name;
  }
}

TEST(Tensors, StoredRowTakesEachRowOnce) {
  const auto table = by_name(gguf_names(true));
  for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_k.bias"}) {
    const TensorSlot& slot = table.at(name);
    std::set<int64_t> rows;
    for (int64_t row = 0; row < slot.shape[0]; ++row) rows.insert(stored_row(slot, row));
    EXPECT_EQ(static_cast<int64_t>(rows.size()), slot.shape[0]);
    EXPECT_EQ(*rows.begin(), 0);
    EXPECT_EQ(*rows.rbegin(), slot.shape[0] - 1);
  }
  // Head 2 of 8 rows: first half to the even ones, second half to the odd ones.
  const TensorSlot& q = table.at("blk.0.attn_q.weight");
  const int64_t expected[] = {16, 18, 20, 22, 17, 19, 21, 23};
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(stored_row(q, 16 + i), expected[i]);
  EXPECT_EQ(stored_row(table.at("blk.0.attn_v.weight"), 5), 5);
}

}  // namespace
}  // namespace sluice::models
