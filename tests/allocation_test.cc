// Promise 3: in steady state nothing is allocated. Counts operator new over whole steps of an
// engine that decodes a full batch of token-id requests.
#include <gtest/gtest.h>

#include "base/counted_allocations.h"
#include "engine_runs.h"

namespace sluice::tests {
namespace {

class SteadyState : public testing::TestWithParam<const char*> {};

TEST_P(SteadyState, StepsAllocateNothing) {
  for (const int64_t micro_batch : {8, 3}) {
    engine::EngineOptions options;
    options.schedule = GetParam();
    options.threads = 2;
    options.max_batch_size = 8;
    options.micro_batch_size = micro_batch;
    options.max_num_tokens = 32;  // the prompts come in chunks
    options.kv_cache_memory = int64_t{16} << 20;
    options.prefix_sharing = false;  // all eight start at once
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
    const int64_t before = base::allocations.load();
    bool running = true;
    for (int i = 0; i < 90; ++i) running = running && engine->step(sink).ok();
    const int64_t allocated = base::allocations.load() - before;
    EXPECT_EQ(allocated, 0) << "micro-batch " << micro_batch;
    EXPECT_TRUE(running);
    EXPECT_GT(engine->stats().generated_tokens, 100);
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, SteadyState, testing::Values("resident", "serial"));

}  // namespace
}  // namespace sluice::tests
