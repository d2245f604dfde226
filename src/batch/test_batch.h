// For tests: whole batches against a fake engine, in a folder of their own.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "batch/fake_engine.h"
#include "batch/job.h"

namespace sluice::batch {

class Batch : public ::testing::Test {
 public:
  static std::string request(const std::string& id, const std::string& text) {
    return R"({"custom_id":")" + id +
           R"(","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":")" +
           text + R"("}]}})" + "\n";
  }

 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-batch-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // By custom_id; fails on a line that is no JSON and on an id that comes twice.
  std::map<std::string, Json> answers(const std::string& name = "out.jsonl") const {
    std::map<std::string, Json> all;
    std::stringstream text(read(name));
    for (std::string line; std::getline(text, line);) {
      Json json = Json::parse(line);
      EXPECT_TRUE(all.emplace(json["custom_id"], json).second) << json["custom_id"];
    }
    return all;
  }
  static std::string content(const Json& answer) {
    return answer["response"]["body"]["choices"][0]["message"]["content"];
  }
  Status run() {
    JobOptions options;
    options.input_path = input_path_.empty() ? path("in.jsonl") : input_path_;
    options.output_path = path("out.jsonl");
    options.force = force_;
    options.retry_faults = retry_faults_;
    options.now_local_s = 1000;
    options.place.faults = file_faults_;
    SLUICE_ASSIGN(job_, Job::open(options));
    const Status ran = run_opened();
    job_.reset();
    return ran;
  }
  Status run_opened() {
    SLUICE_TRY(job_->prepare(fingerprint_, settings_));
    FeederOptions feeder;
    feeder.default_max_tokens = 5;
    feeder.window_lines = window_lines_;
    feeder.model_name = "fake";
    RunnerHooks hooks;
    hooks.now_unix_s = [] { return int64_t{1234}; };
    hooks.stop_requested = &stop_;
    hooks.on_progress = [this](const RunState& state, const engine::EngineStats&) {
      if (on_progress_) on_progress_(state);
    };
    FakeEngine engine;
    engine.fail_at_step = fail_at_step_;
    engine.fault_on = fault_on_;
    const Status ran = job_->run(engine, text_, feeder, {text_, "fake", "fp_0"}, hooks, state_);
    EXPECT_LE(engine.most_queued, 8);
    return ran;
  }

  std::filesystem::path directory_;
  FakeText text_;
  std::unique_ptr<Job> job_;
  std::string input_path_, fingerprint_ = "model-1";
  Json settings_ = {{"temperature", 0}, {"kv_dtype", "f32"}};
  bool force_ = false, retry_faults_ = false;
  FileFaults* file_faults_ = nullptr;
  char fault_on_ = 0;
  int64_t window_lines_ = 7, fail_at_step_ = 0;
  std::atomic<int> stop_{0};
  std::function<void(const RunState&)> on_progress_;
  RunState state_;
};

}  // namespace sluice::batch
