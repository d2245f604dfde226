#include "batch/journal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::batch {
namespace {

// Journals of before there was a choice of the KV cache's type do not name it; it was f32.
TEST(Journal, AnOldOneMeansAnF32Cache) {
  const auto output =
      std::filesystem::temp_directory_path() / ("sluice_journal_" + std::to_string(::getpid()));
  std::ofstream(output.string() + ".journal")
      << R"({"sluice_batch_journal":1,"pid":1})" << "\n"
      << R"({"batch":{"input":"i","input_bytes":5,"model":"m","settings":{"quant":"none"}},)"
      << R"("begun_local_s":3})" << "\n";
  {
    const auto journal = Journal::open(output.string());
    ASSERT_TRUE(journal.ok()) << journal.error().message;
    BatchIdentity now{"i", 5, "m", {{"quant", "none"}, {"kv_dtype", "f32"}}};
    EXPECT_EQ(journal->difference(now), "");
    now.settings["kv_dtype"] = "bf16";
    EXPECT_EQ(journal->difference(now), "another setting of 'kv_dtype'");
  }
  std::filesystem::remove(output.string() + ".journal");
}

}  // namespace
}  // namespace sluice::batch
