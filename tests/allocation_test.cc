// Promise 3: in steady state nothing is allocated. Counts operator new over whole steps of an
// engine that decodes a full batch of token-id requests.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "engine_runs.h"

namespace {
std::atomic<int64_t> g_allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory =
      alignment > alignof(std::max_align_t)
          ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
          : std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) { return counted(bytes, 0); }
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return counted(bytes, 0); }
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

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
    const int64_t before = g_allocations.load();
    bool running = true;
    for (int i = 0; i < 90; ++i) running = running && engine->step(sink).ok();
    const int64_t allocated = g_allocations.load() - before;
    EXPECT_EQ(allocated, 0) << "micro-batch " << micro_batch;
    EXPECT_TRUE(running);
    EXPECT_GT(engine->stats().generated_tokens, 100);
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, SteadyState, testing::Values("resident", "serial"));

}  // namespace
}  // namespace sluice::tests
