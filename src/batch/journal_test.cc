#include "batch/journal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/test_path.h"

namespace sluice::batch {
namespace {

// Journals of before there was a choice of the KV cache's type do not name it; it was f32.
TEST(Journal, AnOldOneMeansAnF32Cache) {
  const std::filesystem::path output = base::test_path("journal");
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

TEST(Journal, WithNothingBegunGoesWithItsLock) {
  const std::filesystem::path output = base::test_path("unbegun");
  const std::filesystem::path path = output.string() + ".journal";
  {
    const auto journal = Journal::open(output.string());
    ASSERT_TRUE(journal.ok()) << journal.error().message;
    EXPECT_TRUE(std::filesystem::exists(path));
    // Whoever is refused the lock leaves the file alone.
    EXPECT_FALSE(Journal::open(output.string()).ok());
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  {
    auto journal = Journal::open(output.string());
    ASSERT_TRUE(journal->begin({"i", 5, "m", Json::object()}, 3).ok());
  }
  EXPECT_TRUE(std::filesystem::exists(path));
  std::filesystem::remove(path);
}

class DamagedJournal : public testing::Test {
 protected:
  ~DamagedJournal() override { std::filesystem::remove(path_ + ".journal"); }
  Result<Journal> open_with(const std::string& text) const {
    std::ofstream(path_ + ".journal", std::ios::binary) << text;
    return Journal::open(path_);
  }
  static std::string zeros(size_t count) { return std::string(count, '\0'); }

  const std::string path_ = base::test_path("damaged_journal");
  const std::string first_ = "{\"sluice_batch_journal\":1,\"pid\":1}\n";
  const std::string batch_ =
      R"({"batch":{"input":"i","input_bytes":5,"model":"m","settings":{}},"begun_local_s":3})"
      "\n";
};

// A loss of power may leave holes in what was not synced.
TEST_F(DamagedJournal, IsCutOffWhereTheDiskHasHoles) {
  auto journal = open_with(first_ + batch_ + "{\"synced_bytes\":40}\n{\"sync" + zeros(9) +
                           "tes\":90}\n" + first_);
  ASSERT_TRUE(journal.ok()) << journal.error().message;
  EXPECT_EQ(journal->identity()->input, "i");
  EXPECT_EQ(journal->synced_bytes(), 40);
}

TEST_F(DamagedJournal, WithoutItsIdentityIsBegunAnew) {
  for (const std::string& left : {zeros(37) + batch_, "{\"slui" + zeros(60), zeros(200)}) {
    auto journal = open_with(left);
    ASSERT_TRUE(journal.ok()) << journal.error().message;
    EXPECT_FALSE(journal->identity().has_value());
  }
}

TEST_F(DamagedJournal, ThatIsNoneIsLeftAlone) {
  EXPECT_EQ(open_with("notes\n" + first_).error().code, ErrorCode::kCorrupt);
  for (const std::string other : {"{\n  \"a\": 1\n}\n", "\nnotes\n"}) {
    EXPECT_EQ(open_with(other).error().code, ErrorCode::kCorrupt) << other;
    EXPECT_EQ(std::filesystem::file_size(path_ + ".journal"), other.size());
  }
}

}  // namespace
}  // namespace sluice::batch
