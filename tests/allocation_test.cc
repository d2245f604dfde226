// Promise 3: in steady state nothing is allocated. Counts operator new over whole steps of an
// engine that decodes a full batch of token-id requests.
#include <gtest/gtest.h>

#include "base/counted_allocations.h"
#include "engine_runs.h"

namespace sluice::tests {
namespace {

struct Steady {
  const char* schedule;
  const char* embedding_on = "auto";
  bool device = false;
  const char* attention_on = "auto";
  const char* kv_on = "host";
};

// What a failed test is called by.
std::ostream& operator<<(std::ostream& out, const Steady& steady) {
  return out << steady.schedule << (steady.device ? " with a device" : "") << ", embedding "
             << steady.embedding_on << ", attention " << steady.attention_on << ", cache "
             << steady.kv_on;
}

class SteadyState : public testing::TestWithParam<Steady> {};

TEST_P(SteadyState, StepsAllocateNothing) {
  const Steady& steady = GetParam();
  for (const int64_t micro_batch : {8, 3}) {
    engine::EngineOptions options;
    options.schedule = steady.schedule;
    options.threads = 2;
    options.max_batch_size = 8;
    options.micro_batch_size = micro_batch;
    options.max_num_tokens = 32;  // the prompts come in chunks
    options.kv_cache_memory = int64_t{16} << 20;
    options.prefix_sharing = false;  // all eight start at once
    options.embedding_on = steady.embedding_on;
    if (steady.device) options.device = fast_device(testing::TempDir());
    options.attention_on = steady.attention_on;
    options.kv_on = steady.kv_on;
    const bool kv = options.kv_on == "disk";
    if (kv) options.resident_kv = 0;
    if (micro_batch == 8) options.kv_window_bytes = 1;  // attention in parts
    options.kv_directory = testing::TempDir();
    const bool paged = steady.device || options.embedding_on == "disk";
    if (paged) options.resident_weights = 0.25;
    auto engine = load_engine(golden_model("mixtral_long"), options);
    engine::EventSink sink;
    for (engine::Request& request : mixed_requests(8, engine->config().vocab, 200, 1)) {
      request.sampling.max_tokens = 120;
      request.sampling.logprobs.reset();
      ASSERT_TRUE(engine->submit(request).ok());
    }
    // The first iterations may settle; prompts are still in chunks afterwards.
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(engine->step(sink).ok());
    ASSERT_EQ(engine->running(), 8);
    const auto moved = [&] {
      const engine::EngineStats& stats = engine->stats();
      return stats.disk.pages + stats.disk.kv_read_bytes + stats.device.to_device.bytes;
    };
    const int64_t moved_before = moved();
    const int64_t before = base::allocations.load();
    bool running = true;
    for (int i = 0; i < 90; ++i) running = running && engine->step(sink).ok();
    const int64_t allocated = base::allocations.load() - before;
    EXPECT_EQ(allocated, 0) << "micro-batch " << micro_batch;
    EXPECT_TRUE(running);
    EXPECT_GT(engine->stats().generated_tokens, 100);
    EXPECT_EQ(moved() > moved_before, paged || kv);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Schedules, SteadyState,
    testing::Values(Steady{"resident"}, Steady{"serial"}, Steady{"layer_stream", "disk"},
                    Steady{"expert_fetch", "disk"}, Steady{.schedule = "cgopipe", .device = true},
                    Steady{.schedule = "kv_prefetch", .device = true},
                    Steady{.schedule = "serial", .device = true},
                    Steady{.schedule = "serial", .device = true, .attention_on = "device"},
                    Steady{.schedule = "resident", .kv_on = "disk"},
                    Steady{.schedule = "layer_stream", .embedding_on = "disk", .kv_on = "disk"},
                    Steady{.schedule = "cgopipe", .device = true, .kv_on = "disk"}));

}  // namespace
}  // namespace sluice::tests
