// Whole batches against a fake engine: what comes out, what is resumed, what is refused.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "batch/test_batch.h"

namespace sluice::batch {
namespace {

namespace fs = std::filesystem;

TEST_F(Batch, AnswersEachLineOnceInOpenAisForm) {
  std::string input;
  for (int i = 0; i < 40; ++i)
    input += request("r" + std::to_string(i), "text " + std::to_string(i));
  write("in.jsonl", input);
  const Status ran = run();
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_TRUE(state_.at_end);
  EXPECT_EQ(state_.answered, 40);
  EXPECT_EQ(state_.failed, 0);
  const auto all = answers();
  ASSERT_EQ(all.size(), 40U);
  const Json& answer = all.at("r12");
  EXPECT_EQ(answer["error"], nullptr);
  EXPECT_EQ(answer["response"]["status_code"], 200);
  const Json& body = answer["response"]["body"];
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["created"], 1234);
  EXPECT_EQ(body["model"], "fake");
  EXPECT_EQ(content(answer), "21 tx");  // backwards, five tokens by default
  EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(body["choices"][0]["logprobs"], nullptr);
  EXPECT_EQ(body["usage"]["prompt_tokens"], 13);
  EXPECT_EQ(body["usage"]["completion_tokens"], 5);
  EXPECT_EQ(body["usage"]["total_tokens"], 18);
}

TEST_F(Batch, AnswersSeveralPromptsAndChoicesByIndex) {
  write(
      "in.jsonl",
      R"({"custom_id":"p","prompt":["ab","cde"],"n":2,"max_tokens":2})"
      "\n"
      R"({"custom_id":"e","prompt":"xyz","echo":true,"logprobs":1,"max_tokens":1,"return_token_ids":true})");
  ASSERT_TRUE(run().ok());
  const auto all = answers();
  const Json& choices = all.at("p")["response"]["body"]["choices"];
  ASSERT_EQ(choices.size(), 4U);
  const char* texts[] = {"ba", "ba", "ed", "ed"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(choices[i]["index"], i);
    EXPECT_EQ(choices[i]["text"], texts[i]);
  }
  const Json& echoed = all.at("e")["response"]["body"]["choices"][0];
  EXPECT_EQ(echoed["text"], "xyzz");
  EXPECT_EQ(echoed["token_ids"], Json::array({'z'}));
  EXPECT_EQ(echoed["logprobs"]["tokens"], Json::array({"x", "y", "z", "z"}));
  EXPECT_EQ(echoed["logprobs"]["token_logprobs"], Json::array({nullptr, -0.5, -0.5, -0.25}));
  EXPECT_EQ(echoed["logprobs"]["top_logprobs"][0], nullptr);
  EXPECT_EQ(echoed["logprobs"]["top_logprobs"][1], Json({{"y", -0.5}}));
  EXPECT_EQ(echoed["logprobs"]["text_offset"], Json::array({0, 1, 2, 3}));
}

TEST_F(Batch, BadLinesBecomeErrorLinesAndTheRestGoOn) {
  write("in.jsonl", "\xEF\xBB\xBF" + request("ok", "fine") + "\r\n  \n{broken\n" +
                        request("ok", "again") + request("refused", "REFUSE") +
                        request("line-000001", "reserved") + R"({"prompt":[300]})" + "\n" +
                        R"({"prompt":""})" + "\n" + request("long", std::string(200, 'x')) +
                        R"({"custom_id":"asks","prompt":"abc","max_tokens":126})" + "\n" +
                        R"({"custom_id":"bias","prompt":"abc","temperature":9})" + "\n" +
                        R"({"prompt":"no newline at the end"})");
  ASSERT_TRUE(run().ok());
  const auto all = answers();
  EXPECT_EQ(all.size(), 11U);
  EXPECT_EQ(state_.requests, 11);
  EXPECT_EQ(state_.answered, 2);
  EXPECT_EQ(state_.failed, 9);
  const auto code = [&](const std::string& id) {
    EXPECT_TRUE(all.count(id) == 1) << id;
    return all.count(id) == 1 ? all.at(id)["error"].value("code", Json()) : Json();
  };
  EXPECT_EQ(content(all.at("ok")), "enif>");
  EXPECT_EQ(code("line-000004"), "invalid_json_line");
  EXPECT_EQ(all.at("line-000004")["response"], nullptr);
  EXPECT_EQ(all.at("line-000004")["error"]["line"], 4);
  EXPECT_EQ(code("line-000005"), "duplicate_custom_id");
  EXPECT_EQ(code("refused"), "invalid_value");
  EXPECT_EQ(code("line-000007"), "reserved_custom_id");
  EXPECT_EQ(code("line-000008"), "invalid_value");
  EXPECT_EQ(code("line-000009"), "invalid_value");
  EXPECT_EQ(code("long"), "context_length_exceeded");
  EXPECT_EQ(code("asks"), "context_length_exceeded");
  EXPECT_EQ(code("bias"), "invalid_value");
  EXPECT_EQ(all.at("bias")["response"]["status_code"], 400);
  EXPECT_EQ(all.at("bias")["response"]["body"]["error"]["param"], "temperature");
  EXPECT_EQ(all.at("line-000013")["response"]["body"]["choices"][0]["text"], "dne e");
}

TEST_F(Batch, ALineTooLongIsNotHeld) {
  write("in.jsonl",
        request("a", "x") + std::string(kMaxLineBytes + 10, ' ') + "{}\n" + request("b", "y"));
  ASSERT_TRUE(run().ok());
  const auto all = answers();
  EXPECT_EQ(all.size(), 3U);
  EXPECT_EQ(all.at("line-000002")["error"]["code"], "line_too_long");
}

TEST_F(Batch, GoesOnWhereAKilledRunStopped) {
  std::string input;
  for (int i = 0; i < 30; ++i)
    input += request("r" + std::to_string(i), "text " + std::to_string(i));
  input += "{broken\n" + request("r3", "repeated") + R"({"prompt":"plain"})" + "\n";
  write("in.jsonl", input);
  ASSERT_TRUE(run().ok());
  const auto whole = answers();
  ASSERT_EQ(whole.size(), 33U);
  const std::string complete = read("out.jsonl");
  const std::string journal = read("out.jsonl.journal");
  // Cut anywhere, as a kill may; the journal knows at most what was synced.
  const size_t begun = journal.find("\"synced_bytes\"");
  const std::string early_journal = journal.substr(0, journal.rfind('\n', begun) + 1);
  for (size_t cut = 0; cut <= complete.size(); cut += 397) {
    write("out.jsonl", complete.substr(0, cut));
    write("out.jsonl.journal", early_journal);
    const Status ran = run();
    ASSERT_TRUE(ran.ok()) << cut << ": " << ran.error().message;
    EXPECT_EQ(answers(), whole) << cut;
    const std::string kept = complete.substr(0, cut);
    EXPECT_EQ(state_.answered_before, std::count(kept.begin(), kept.end(), '\n')) << cut;
    EXPECT_EQ(state_.done(), 33);
  }
}

TEST_F(Batch, DropsWhatALossOfPowerLeft) {
  write("in.jsonl", request("a", "x") + request("b", "y") + request("c", "z"));
  ASSERT_TRUE(run().ok());
  const auto whole = answers();
  const std::string complete = read("out.jsonl");
  const std::string journal = read("out.jsonl.journal");
  const std::string early = journal.substr(0, journal.rfind('\n', journal.find("\"synced")) + 1);
  // A hole of zeros in an unsynced line, a whole line after it.
  std::string holed = complete;
  const size_t second = holed.find('\n') + 1;
  std::fill_n(holed.begin() + static_cast<std::ptrdiff_t>(second) + 80, 40, '\0');
  write("out.jsonl", holed);
  write("out.jsonl.journal", early);
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(state_.answered_before, 1);
  EXPECT_EQ(answers(), whole);
  // In what was synced, something else than an answer is not ours to remove.
  write("out.jsonl", "my notes\n" + complete);
  const Status refused = run();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(read("out.jsonl"), "my notes\n" + complete);
}

TEST_F(Batch, RefusesAnotherInputModelOrSetting) {
  write("in.jsonl", request("a", "x"));
  ASSERT_TRUE(run().ok());
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(state_.answered, 0);
  EXPECT_EQ(state_.answered_before, 1);
  const auto refusal = [&] {
    const Status refused = run();
    EXPECT_FALSE(refused.ok());
    return refused.ok() ? std::string() : refused.error().message;
  };
  fingerprint_ = "model-2";
  EXPECT_NE(refusal().find("another model"), std::string::npos);
  fingerprint_ = "model-1";
  settings_["temperature"] = 1;
  EXPECT_NE(refusal().find("'temperature'"), std::string::npos);
  settings_["temperature"] = 0;
  write("in.jsonl", request("a", "x") + request("b", "y"));
  EXPECT_NE(refusal().find("another input"), std::string::npos);
  force_ = true;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(state_.answered_before, 1);
  EXPECT_EQ(answers().size(), 2U);
  force_ = false;
  EXPECT_TRUE(run().ok());
}

TEST_F(Batch, RefusesAnOutputThatIsNotItsOwn) {
  write("in.jsonl", request("a", "x"));
  write("out.jsonl", "precious\n");
  EXPECT_FALSE(run().ok());
  force_ = true;
  EXPECT_FALSE(run().ok());
  EXPECT_EQ(read("out.jsonl"), "precious\n");
  write("out.jsonl", "precious");
  EXPECT_FALSE(run().ok());
  EXPECT_EQ(read("out.jsonl"), "precious");
}

TEST_F(Batch, TwoRunsOnOneOutputAreRefused) {
  write("in.jsonl", request("a", "x"));
  JobOptions options;
  options.input_path = path("in.jsonl");
  options.output_path = path("out.jsonl");
  auto first = Job::open(options);
  ASSERT_TRUE(first.ok());
  auto second = Job::open(options);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("process " + std::to_string(::getpid())), std::string::npos)
      << second.error().message;
}

TEST_F(Batch, AFullDiskStopsWholeAndGoesOn) {
  std::string input;
  for (int i = 0; i < 200; ++i)
    input += request("r" + std::to_string(i), "text " + std::to_string(i));
  write("in.jsonl", input);
  struct rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit small = before;
  small.rlim_cur = 20'000;
  std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status full = run();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kNoRoom) << full.error().message;
  EXPECT_TRUE(read("out.jsonl").ends_with("}\n"));
  const auto some = answers().size();
  EXPECT_GT(some, 10U);
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(state_.answered_before, static_cast<int64_t>(some));
  EXPECT_EQ(answers().size(), 200U);
}

TEST_F(Batch, InterruptedOnceItFinishesWhatRuns) {
  std::string input;
  for (int i = 0; i < 60; ++i) input += request("r" + std::to_string(i), "some text");
  write("in.jsonl", input);
  on_progress_ = [this](const RunState& state) {
    if (state.answered >= 8) stop_ = kFinishRunning;
  };
  ASSERT_TRUE(run().ok());
  EXPECT_TRUE(state_.stopped);
  EXPECT_FALSE(state_.at_end);
  const auto some = answers();
  EXPECT_GE(some.size(), 8U);
  EXPECT_LE(some.size(), 16U);
  for (const auto& [id, answer] : some) EXPECT_EQ(content(answer), "txet ") << id;
  stop_ = 0;
  on_progress_ = nullptr;
  ASSERT_TRUE(run().ok());
  EXPECT_TRUE(state_.at_end);
  EXPECT_EQ(answers().size(), 60U);
}

TEST_F(Batch, InterruptedTwiceItStopsAtOnce) {
  std::string input;
  for (int i = 0; i < 60; ++i) input += request("r" + std::to_string(i), "some text");
  write("in.jsonl", input);
  on_progress_ = [this](const RunState& state) {
    if (state.seconds > 0) stop_ = kStopNow;
  };
  ASSERT_TRUE(run().ok());
  EXPECT_TRUE(state_.stopped);
  EXPECT_EQ(answers().size(), 0U);
}

TEST_F(Batch, AFaultOfTheEngineKeepsWhatIsAnswered) {
  std::string input;
  for (int i = 0; i < 60; ++i) input += request("r" + std::to_string(i), "some text");
  write("in.jsonl", input);
  fail_at_step_ = 20;
  const Status fault = run();
  ASSERT_FALSE(fault.ok());
  EXPECT_EQ(fault.error().code, ErrorCode::kFault);
  EXPECT_GT(answers().size(), 0U);
  fail_at_step_ = 0;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(answers().size(), 60U);
}

TEST_F(Batch, ReadsAPipeAndResumesByTheSameInput) {
  const std::string input = request("a", "x") + request("b", "y");
  const auto through_pipe = [&](const std::string& text) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(ends[1]);
    input_path_ = "/dev/fd/" + std::to_string(ends[0]);
    const Status ran = run();
    ::close(ends[0]);
    return ran;
  };
  ASSERT_TRUE(through_pipe(input).ok());
  EXPECT_EQ(answers().size(), 2U);
  ASSERT_TRUE(through_pipe(input).ok());
  EXPECT_EQ(state_.answered_before, 2);
  EXPECT_FALSE(through_pipe(input + "\n").ok());
  EXPECT_FALSE(fs::exists(path("out.jsonl.input")));
}

TEST_F(Batch, InputAndOutputMustDiffer) {
  write("out.jsonl", "");
  input_path_ = path("out.jsonl");
  EXPECT_FALSE(run().ok());
}

}  // namespace
}  // namespace sluice::batch
