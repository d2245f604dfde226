// A long batch takes no more memory than a short one: a million lines against a fake engine.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/sanitized.h"
#include "batch/fake_engine.h"
#include "batch/job.h"

namespace sluice::batch {
namespace {

// A line of /proc/self/status, in bytes.
int64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return 1024 * std::stoll(line.substr(key.size() + 1));
  }
  return -1;
}

TEST(Scale, AMillionLinesInBoundedMemory) {
  const bool sanitized = base::address_sanitized();  // its own memory is not ours to count
  const int64_t lines = sanitized ? 50'000 : 1'000'000;
  std::string pattern = (std::filesystem::temp_directory_path() / "sluice-scale-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path directory = pattern;
  const std::string in = (directory / "in.jsonl").string();
  {
    std::ofstream file(in);
    for (int64_t i = 0; i < lines; ++i)
      file << R"({"custom_id":"request-)" << i << R"(","prompt":"some words )" << i
           << R"(","max_tokens":1})" << '\n';
  }
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins here
  const int64_t before = status_bytes("VmRSS");
  FakeText text;
  RunState state;
  int64_t index_bytes = 0;
  {
    auto job = Job::open({.input_path = in, .output_path = (directory / "out.jsonl").string()});
    ASSERT_TRUE(job.ok()) << job.error().message;
    ASSERT_TRUE((*job)->prepare("model", {}).ok());
    FakeEngine engine(256, 512);
    const Status ran = (*job)->run(engine, text, {}, {text, "fake", "fp"}, {}, state);
    ASSERT_TRUE(ran.ok()) << ran.error().message;
    index_bytes = (*job)->index_bytes();
  }
  EXPECT_TRUE(state.at_end);
  EXPECT_EQ(state.answered, lines);
  EXPECT_EQ(state.failed, 0);
  EXPECT_LE(index_bytes, 16 * lines);
  const int64_t peak = status_bytes("VmHWM") - before;
  if (!sanitized) {
    EXPECT_LT(peak, int64_t{64} << 20) << "of it the index " << index_bytes;
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace sluice::batch
