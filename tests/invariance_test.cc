// Promise 1: the same tokens and the same log-probabilities, bit for bit, whatever the schedule,
// micro-batch, batch mates, order, chunk size, prefix reuse, thread count or set-back.
#include <gtest/gtest.h>

#include <algorithm>

#include "device/test_machine.h"
#include "engine/model_files.h"
#include "engine_runs.h"

namespace sluice::tests {
namespace {

using engine::EngineOptions;

constexpr int kMaxTokens = 40;

// The longest prompt: crosses KV blocks, chunks and every tile of the kernels, where the model
// allows.
int longest_prompt(const std::string& model) {
  const auto opened = engine::open_model(model);
  return static_cast<int>(std::min<int64_t>(300, opened->model.config.max_positions - kMaxTokens));
}

struct Variant {
  const char* name;
  EngineOptions options;
  bool reversed = false;
};

EngineOptions options(int64_t batch, int64_t micro_batch, int64_t tokens, const char* schedule,
                      int threads, bool sharing = true) {
  EngineOptions o;
  o.schedule = schedule;
  o.threads = threads;
  o.max_batch_size = batch;
  o.micro_batch_size = micro_batch;
  o.max_num_tokens = tokens;
  o.kv_cache_memory = int64_t{64} << 20;
  o.prefix_sharing = sharing;
  return o;
}

// Of the cache, all but this share.
void keep_on_disk(EngineOptions& o, double resident) {
  o.kv_on = "disk";
  o.kv_directory = testing::TempDir();
  o.resident_kv = resident;
}

std::vector<Variant> variants() {
  std::vector<Variant> all = {
      {"batch 1 sharing", options(1, 1, 512, "resident", 1)},
      {"batch 3", options(3, 3, 64, "resident", 1)},
      {"batch 3 by 1", options(3, 1, 48, "resident", 1)},
      {"batch 8 by 3, tiny chunks", options(8, 3, 9, "resident", 2)},
      {"batch 64", options(64, 64, 512, "resident", 2)},
      {"batch 64 by 16, reversed", options(64, 16, 100, "resident", 2), true},
      {"serial", options(8, 8, 128, "serial", 1)},
      {"serial by 2, two threads, unshared", options(8, 2, 33, "serial", 2, false)},
      {"small blocks", options(16, 16, 80, "resident", 1)},
      {"set back", options(26, 26, 64, "resident", 1)},
      {"cache on disk", options(8, 8, 128, "resident", 1)},
      {"cache on disk by 3, a third in memory", options(12, 3, 50, "resident", 2)},
      {"cache on disk, serial by 2, unshared", options(8, 2, 33, "serial", 1, false)},
      {"cache on disk, set back", options(26, 5, 64, "resident", 1)},
      {"cache on disk, in parts", options(12, 12, 90, "resident", 2)},
      {"cache on disk, serial, in parts", options(8, 8, 40, "serial", 1)},
  };
  for (size_t i = 10; i < 16; ++i) keep_on_disk(all[i].options, i == 11 ? 0.33 : 0);
  for (size_t i = 13; i < 16; ++i) all[i].options.kv_window_bytes = 1;
  all[13].options.kv_reserve_fraction = 0;
  all[13].options.kv_block_tokens = 16;
  all[8].options.kv_block_tokens = 16;
  all[9].options.kv_reserve_fraction = 0;
  all[9].options.kv_block_tokens = 16;
  return all;
}

// A machine whose host, device and link between do so many bytes a second.
std::string device(const std::string& name, double host, double there, double link) {
  const std::string path = testing::TempDir() + "sluice_" + name + "_device.json";
  EXPECT_TRUE(hardware::write_file(device::test_machine(name, host, there, link), path).ok());
  return "emulated:" + path;
}
// So fast that nobody waits for it; and one whose host takes some experts to spare the link.
std::string fast_device() { return tests::fast_device(testing::TempDir()); }
std::string behind_a_link() { return device("far", 4e9, 1e15, 2e9); }

// Experts that come from the disk, or over a link, when they are needed or before; as few in memory
// as can be.
std::vector<Variant> paged_variants() {
  std::vector<Variant> all = {
      {"layer_stream, half in memory", options(8, 8, 128, "layer_stream", 1)},
      {"layer_stream by 3, two threads", options(8, 3, 33, "layer_stream", 2)},
      {"expert_fetch", options(1, 1, 512, "expert_fetch", 1)},
      {"expert_fetch, batch 64 by 16, reversed", options(64, 16, 100, "expert_fetch", 2), true},
      {"cgopipe", options(8, 8, 128, "cgopipe", 1)},
      {"cgopipe by 2, two threads", options(8, 2, 33, "cgopipe", 2)},
      {"serial on a device", options(8, 4, 64, "serial", 1)},
      {"kv_prefetch", options(8, 8, 128, "kv_prefetch", 1)},
      {"kv_prefetch by 2, two threads", options(8, 2, 33, "kv_prefetch", 2)},
      {"kv_prefetch by 3, a third of the cache there", options(12, 3, 50, "kv_prefetch", 1)},
      {"kv_prefetch, all of the cache there", options(8, 4, 64, "kv_prefetch", 1)},
      {"kv_prefetch, set back", options(26, 5, 64, "kv_prefetch", 1)},
      {"serial, attention on a device", options(8, 4, 64, "serial", 1)},
      {"cgopipe by 3, some experts on the host", options(12, 3, 60, "cgopipe", 1)},
      {"cgopipe, all experts on the host", options(8, 4, 64, "cgopipe", 2)},
      {"kv_prefetch, some experts on the host", options(8, 2, 40, "kv_prefetch", 1)},
      {"serial, some experts on the host", options(6, 3, 64, "serial", 1)},
      {"expert_fetch without guesses", options(1, 1, 512, "expert_fetch", 1)},
      {"expert_fetch, half in memory", options(1, 1, 24, "expert_fetch", 2)},
      {"expert_fetch, batch 6 by 2, most in memory", options(6, 2, 16, "expert_fetch", 1)},
      {"layer_stream by 3, cache on disk", options(12, 3, 60, "layer_stream", 1)},
      {"expert_fetch, cache on disk", options(1, 1, 40, "expert_fetch", 2)},
      {"cgopipe by 3, cache on disk", options(12, 3, 60, "cgopipe", 2)},
      {"cgopipe by 2, some experts on the host, cache on disk", options(8, 2, 50, "cgopipe", 1)},
      {"cgopipe, cache on disk, set back", options(26, 5, 64, "cgopipe", 1)},
      {"serial on a device, cache on disk", options(8, 4, 64, "serial", 1)},
  };
  for (size_t i = 4; i < 17; ++i) all[i].options.device = fast_device();
  for (Variant& variant : all) variant.options.resident_weights = 0;
  all[0].options.resident_weights = 0.5;
  all[9].options.resident_kv = 0.33;
  all[10].options.resident_kv = 1;
  all[11].options.kv_reserve_fraction = 0;
  all[11].options.kv_block_tokens = 16;
  all[12].options.attention_on = "device";
  all[12].options.resident_kv = 0.2;
  for (size_t i = 13; i < 17; ++i) {
    all[i].options.device = behind_a_link();
    all[i].options.experts_on = i == 14 ? "host" : "auto";
  }
  all[17].options.guess_experts = "off";
  // Where the embedding lies: the golden models are so small that their table would stay.
  for (const size_t i : {1, 2, 3, 17, 19}) all[i].options.embedding_on = "disk";
  all[18].options.resident_weights = 0.5;
  all[19].options.resident_weights = 0.75;
  keep_on_disk(all[20].options, 0.2);
  keep_on_disk(all[21].options, 0);
  for (size_t i = 22; i < 26; ++i) {
    all[i].options.device = i == 23 ? behind_a_link() : fast_device();
    keep_on_disk(all[i].options, i == 22 ? 0.3 : 0);
    if (i > 22) all[i].options.kv_window_bytes = 1;
  }
  all[20].options.kv_window_bytes = 1;
  all[23].options.experts_on = "auto";
  all[24].options.kv_reserve_fraction = 0;
  all[24].options.kv_block_tokens = 16;
  return all;
}

struct Case {
  const char* model;
  const char* quant;
  const char* kv_dtype = "f32";
};

class Invariance : public testing::TestWithParam<Case> {
 protected:
  std::string model() const { return golden_model(GetParam().model); }
  std::unique_ptr<engine::Engine> load(EngineOptions options) const {
    options.quant = GetParam().quant;
    options.kv_dtype = GetParam().kv_dtype;
    return load_engine(model(), options);
  }
};

TEST_P(Invariance, AnswersDoNotDependOnHowTheyAreRun) {
  auto plain = load(options(1, 1, 512, "resident", 1, /*sharing=*/false));
  const int longest = longest_prompt(model());
  const auto requests = mixed_requests(26, plain->config().vocab, longest, kMaxTokens);
  const int64_t plain_bytes_per_token =
      plain->plan().kv_bytes / (plain->plan().kv_blocks * plain->plan().kv_block_tokens);
  const auto expected = run_all(*plain, requests);
  ASSERT_EQ(expected.size(), requests.size());
  const bool has_experts = plain->config().max_experts() > 0;
  plain.reset();
  auto all = variants();
  if (has_experts) std::ranges::move(paged_variants(), std::back_inserter(all));
  for (const Variant& variant : all) {
    EngineOptions o = variant.options;
    const bool set_back = o.kv_reserve_fraction < 1;
    // For one sequence; or for a few, where a part that stays would hold all that is needed.
    const int64_t one = plain_bytes_per_token * (longest + kMaxTokens + 3 * o.kv_block_tokens);
    if (set_back || o.kv_on == "disk") o.kv_cache_memory = set_back ? one : 5 * one;
    auto engine = load(o);
    auto order = requests;
    if (variant.reversed) std::ranges::reverse(order);
    const auto got = run_all(*engine, order);
    ASSERT_EQ(got.size(), expected.size()) << variant.name;
    for (const auto& [id, output] : expected) {
      EXPECT_TRUE(same_answers(output, got.at(id))) << variant.name << ", request " << id;
    }
    if (o.resident_weights < 1) {
      const engine::EngineStats& stats = engine->stats();
      EXPECT_GT(stats.disk.pages + stats.device.to_device.bytes, 0) << variant.name;
      EXPECT_EQ(stats.disk.rows > 0, o.embedding_on == "disk") << variant.name;
    }
    const engine::DiskStats& disk = engine->stats().disk;
    EXPECT_EQ(disk.kv_read_bytes > 0 && disk.kv_written_bytes > 0, o.kv_on == "disk")
        << variant.name;
    const bool guesses = engine->plan().policy.guess_experts;
    EXPECT_EQ(guesses, o.schedule == "expert_fetch" && o.guess_experts != "off") << variant.name;
    if (!guesses || o.max_batch_size <= models::kMaxGuessRows) {
      const engine::GuessStats& made = engine->stats().disk.guesses;
      EXPECT_EQ(made.experts > 0, guesses) << variant.name;
      EXPECT_GE(made.experts, made.right) << variant.name;
    }
    if (!o.experts_on.empty()) {
      constexpr auto kGroup = static_cast<size_t>(models::StageKind::kExpertGroup);
      EXPECT_GT(engine->stats().stages[kGroup].tasks, 0) << variant.name;
      EXPECT_EQ(engine->stats().device.stages[kGroup].tasks > 0, o.experts_on == "auto")
          << variant.name;
    }
    const bool shares = engine->config().rope.kind != models::RopeKind::kDynamic;
    if (shares && variant.options.prefix_sharing && variant.options.max_batch_size < 26) {
      EXPECT_GT(engine->stats().cached_prompt_tokens, 0) << variant.name;
    }
    if (set_back) {
      EXPECT_GT(engine->stats().preemptions, 0) << variant.name;
    }
  }
}

TEST_P(Invariance, EveryIsaGivesTheSameAnswers) {
  const auto base = options(8, 8, 128, "resident", 1);
  auto best = load(base);
  const auto requests =
      mixed_requests(8, best->config().vocab, std::min(120, longest_prompt(model())), 8);
  const auto expected = run_all(*best, requests);
  for (kernels::Isa isa : kernels::available_isas()) {
    auto o = base;
    o.isa = isa;
    auto engine = load(o);
    const auto got = run_all(*engine, requests);
    for (const auto& [id, output] : expected) {
      EXPECT_TRUE(same_answers(output, got.at(id))) << kernels::name(isa) << ", request " << id;
    }
  }
}

TEST_P(Invariance, PromptLogprobsAndSeededDraws) {
  std::map<engine::RequestId, engine::RequestOutput> expected;
  for (const auto& o : {options(1, 1, 512, "resident", 1, false), options(7, 7, 50, "resident", 2),
                        options(6, 2, 20, "serial", 1)}) {
    auto engine = load(o);
    auto requests =
        mixed_requests(9, engine->config().vocab, std::min(150, longest_prompt(model())), 12);
    for (auto& request : requests) {
      request.sampling.temperature = 0.9;
      request.sampling.top_p = 0.95;
      request.sampling.seed = request.id * 11;
      request.sampling.n = request.id % 2 == 0 ? 3 : 1;
      if (request.id % 3 == 0) request.sampling.prompt_logprobs = 2;
      if (request.id == 6) request.sampling.max_tokens = 0;
    }
    const auto got = run_all(*engine, requests);
    if (expected.empty()) expected = got;
    for (const auto& [id, output] : expected) {
      EXPECT_TRUE(same_answers(output, got.at(id))) << "request " << id;
    }
  }
  ASSERT_FALSE(expected.at(2).choices.empty());
  EXPECT_EQ(expected.at(2).choices.size(), 3u);
  EXPECT_FALSE(expected.at(3).prompt_logprobs.front().has_value());
  EXPECT_TRUE(expected.at(3).prompt_logprobs.back().has_value());
  EXPECT_TRUE(expected.at(6).choices.front().tokens.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Models, Invariance,
    testing::Values(Case{"mixtral_long", "none"}, Case{"qwen3_moe_norm", "none"},
                    Case{"llama_rope_dynamic", "none"}, Case{"mixtral_long", "q8"},
                    Case{"qwen3_moe_norm", "q4"}, Case{"llama_long", "mxfp4"},
                    Case{"qwen3_moe_norm", "bf16"}, Case{"mixtral_long", "none", "bf16"},
                    Case{"qwen3_moe_norm", "none", "q8"}),
    [](const auto& of) {
      const std::string quant = of.param.quant;
      const std::string kv = of.param.kv_dtype;
      return of.param.model + (quant == "none" ? "" : "_" + quant) +
             (kv == "f32" ? "" : "_kv_" + kv);
    });

}  // namespace
}  // namespace sluice::tests
