#include "batch/score.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "batch/report.h"

namespace sluice::batch {
namespace {

TEST(Score, ComparesTextAndJson) {
  EXPECT_TRUE(same_answer(" 42\n", "42"));
  EXPECT_FALSE(same_answer("42.", "42"));
  EXPECT_FALSE(same_answer("042", "42"));
  EXPECT_TRUE(same_answer(R"({"b": 1, "a": [2]})", R"({"a":[2],"b":1})"));
  EXPECT_FALSE(same_answer(R"({"a":2})", R"({"a":3})"));
  EXPECT_FALSE(same_answer("", R"({"a":3})"));
  EXPECT_TRUE(same_answer("  ", ""));
}

TEST(Score, InformationIsThatOfTheTable) {
  EXPECT_NEAR(mutual_information_bits({{5, 5}, {5, 5}}), 0, 1e-12);
  EXPECT_NEAR(mutual_information_bits({{7, 0}, {0, 7}}), 1, 1e-12);
  EXPECT_NEAR(mutual_information_bits({{3, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 3, 0}, {0, 0, 0, 3}}), 2,
              1e-12);
  EXPECT_EQ(mutual_information_bits({{0, 0}}), 0);
  EXPECT_EQ(mutual_information_bits({}), 0);
}

TEST(Score, CountsByTaskWithTheirExperts) {
  std::string pattern = (std::filesystem::temp_directory_path() / "sluice-score-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path directory = pattern;
  std::ofstream(directory / "expected.jsonl")
      << R"({"custom_id":"a","task":"sum","expected":"3"})" << "\n\n"
      << R"({"custom_id":"b","task":"sum","expected":"4"})" << "\n"
      << R"({"custom_id":"c","task":"sort","expected":"1 2"})" << "\n"
      << R"({"custom_id":"d","task":"sort","expected":"1 3"})" << "\n"
      << R"({"custom_id":"e","task":"sort","expected":"1 4"})" << "\n";
  const auto answer = [](const std::string& id, const std::string& text) {
    return R"({"id":"batch_req_0123456789abcdef","custom_id":")" + id +
           R"(","response":{"status_code":200,"body":{"choices":[{"message":{"content":")" + text +
           R"("}}]}},"error":null})" + "\n";
  };
  const std::string out = (directory / "out.jsonl").string();
  std::ofstream(out) << answer("a", "3") << answer("b", "5") << answer("c", "1 2 ")
                     << answer("zz", "not asked")
                     << error_line("d", 4, {400, "invalid_value", "no", "", true}) << "\n";
  auto scorer = Scorer::open((directory / "expected.jsonl").string());
  ASSERT_TRUE(scorer.ok()) << scorer.error().message;
  scorer->set_shape(2, 2);
  scorer->add_experts("a", {4, 0, 2, 2});
  scorer->add_experts("c", {0, 4, 2, 2});
  scorer->add_experts("zz", {9, 9, 9, 9});
  auto journal = Journal::open(out);
  ASSERT_TRUE(journal.ok());
  auto output = Output::open(out, *journal);
  ASSERT_TRUE(output.ok());
  const auto scores = scorer->score(*output);
  ASSERT_TRUE(scores.ok()) << scores.error().message;
  ASSERT_EQ(scores->tasks.size(), 2U);
  const TaskScore& sort = scores->tasks[0];
  EXPECT_EQ(sort.task, "sort");
  EXPECT_EQ(sort.expected, 3);
  EXPECT_EQ(sort.correct, 1);
  EXPECT_EQ(sort.failed, 1);
  EXPECT_EQ(sort.missing, 1);
  EXPECT_EQ(scores->tasks[1].correct, 1);
  EXPECT_EQ(scores->tasks[1].wrong, 1);
  ASSERT_EQ(scores->information_bits.size(), 2U);
  EXPECT_NEAR(scores->information_bits[0], 1, 1e-12);
  EXPECT_NEAR(scores->information_bits[1], 0, 1e-12);
  const std::string text = score_text(*scores, 100);
  EXPECT_NE(text.find("2/5"), std::string::npos) << text;
  EXPECT_NE(text.find("1.00 bit"), std::string::npos) << text;
  std::filesystem::remove_all(directory);
}

TEST(Score, RefusesABrokenFile) {
  EXPECT_EQ(Scorer::open("/nonexistent/expected.jsonl").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace sluice::batch
