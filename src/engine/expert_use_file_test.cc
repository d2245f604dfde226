#include "engine/expert_use_file.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "base/test_path.h"
#include "base/whole_file.h"

namespace sluice::engine {
namespace {

TEST(ExpertUseFile, KeepsWhatARunHasLearned) {
  const std::string path = base::test_path("expert_use.json");
  memory::ExpertUse use(2, 3, 1), next(2, 3, 1), other(2, 4, 1);
  const std::array<int32_t, 3> counts = {7, 2, 1};
  use.add(1, counts, 10);
  ASSERT_TRUE(write_expert_use(path, use).ok());
  const Status read = read_expert_use(path, next);
  ASSERT_TRUE(read.ok()) << read.error().message;
  for (int e = 0; e < 3; ++e) EXPECT_EQ(next.share(1, e), use.share(1, e));
  EXPECT_EQ(read_expert_use(path, other).error().code, ErrorCode::kInvalid);
  std::filesystem::remove(path);
  EXPECT_EQ(read_expert_use(path, next).error().code, ErrorCode::kNotFound);
}

TEST(ExpertUseFile, RefusesWhatIsNone) {
  const std::string path = base::test_path("expert_use_none.json");
  memory::ExpertUse use(1, 1, 1);
  for (const char* text :
       {"", "[]", "{}", R"({"expert_use_version": 2, "counts": [], "tokens": []})",
        R"({"expert_use_version": 1, "counts": [1]})",
        R"({"expert_use_version": 1, "counts": ["a"], "tokens": [1]})",
        R"({"expert_use_version": 1, "counts": [-1], "tokens": [1]})"}) {
    ASSERT_TRUE(base::write_whole_file(path, text).ok());
    EXPECT_FALSE(read_expert_use(path, use).ok()) << text;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace sluice::engine
