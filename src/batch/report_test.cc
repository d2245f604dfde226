#include "batch/report.h"

#include <gtest/gtest.h>

#include "batch/bars.h"
#include "batch/progress.h"

namespace sluice::batch {
namespace {

TEST(Bars, ShowEighthsAndNeverHideWhatIsThere) {
  EXPECT_EQ(bar(0, 4), "    ");
  EXPECT_EQ(bar(1, 4), "████");
  EXPECT_EQ(bar(7, 4), "████");
  EXPECT_EQ(bar(0.5, 4), "██  ");
  EXPECT_EQ(bar(0.53125, 4), "██▏ ");
  EXPECT_EQ(bar(1e-9, 4), "▏   ");
  EXPECT_EQ(cells(bar(0.33, 17)), 17);
}

TEST(Bars, HeatIsAgainstTheLargest) {
  const std::vector<double> values = {0, 1, 4, 8, 0.01};
  EXPECT_EQ(heat(values, 8), " ▁▄█▁");
  EXPECT_EQ(heat(values, 3), "▁█▁");  // two to a cell
  EXPECT_EQ(heat(std::vector<double>(4, 0.0), 8), "    ");
}

TEST(Bars, NumbersAsPeopleReadThem) {
  EXPECT_EQ(percent(0.5), "50 %");
  EXPECT_EQ(percent(0.004), "0.4 %");
  EXPECT_EQ(percent(0), "0 %");
  EXPECT_EQ(rate(1234.5), "1,235");
  EXPECT_EQ(rate(12.34), "12.3");
  EXPECT_EQ(pad("é", 3), "é  ");
  EXPECT_EQ(pad_left("é", 3), "  é");
}

TEST(Progress, FitsTheTerminal) {
  ProgressView view;
  view.requests = 10'000;
  view.done = 2'500;
  view.generated_per_second = 812;
  view.prompt_per_second = 2'134;
  view.kv_share = 0.37;
  view.eta_seconds = 754;
  view.running = 64;
  const std::string wide = live_line(view, 120);
  EXPECT_EQ(wide,
            "▕███████▌                      ▏ 2,500/10,000  ETA 12 m 34 s  812 tok/s  "
            "prompt 2,134 tok/s  KV 37 %  64 running");
  for (int columns = 1; columns < 130; ++columns) {
    EXPECT_LT(cells(live_line(view, columns)), std::max(columns, 1)) << columns;
  }
  EXPECT_NE(live_line(view, 40).find("2,500/10,000"), std::string::npos);
  view.failed = 3;
  EXPECT_EQ(log_line(view),
            "2,500 of 10,000 requests done, 3 error lines; 812 generated tok/s, 2,134 prompt "
            "tok/s, KV 37 %, ETA 12 m 34 s");
}

TEST(Progress, LogsInIntervalsAndDrawsInPlace) {
  std::string written;
  const auto write = [&](const std::string& text) { written += text; };
  RunState state;
  state.requests = 10;
  state.answered = 5;
  state.seconds = 2;
  engine::EngineStats stats;
  stats.generated_tokens = 100;
  Progress log({.log_every = std::chrono::milliseconds(0)}, write);
  log.update(state, stats);
  EXPECT_EQ(written,
            "5 of 10 requests done; 50.0 generated tok/s, 0.0 prompt tok/s, KV 0 %, ETA 2.0 s\n");
  written.clear();
  Progress seldom({.log_every = std::chrono::hours(1)}, write);
  for (int i = 0; i < 5; ++i) seldom.update(state, stats);
  EXPECT_EQ(written, "");
  Progress live({.live = true, .columns = [] { return 90; }}, write);
  live.update(state, stats);
  EXPECT_TRUE(written.starts_with("\r\x1b[2K▕")) << written;
  written.clear();
  live.clear();
  EXPECT_EQ(written, "\r\x1b[2K");
}

ReportInput report() {
  ReportInput input;
  input.model = "demo";
  input.state.requests = 10;
  input.state.answered = 9;
  input.state.failed = 1;
  input.state.seconds = 4;
  input.state.at_end = true;
  input.stats.generated_tokens = 100;
  input.stats.prompt_tokens = 300;
  input.stats.cached_prompt_tokens = 150;
  input.stats.sequence_slots = 8;
  input.stats.sequence_slots_used = 6;
  input.stats.lanes[static_cast<size_t>(schedule::Lane::kHostCompute)] = {.present = true,
                                                                          .busy_seconds = 2,
                                                                          .start_seconds = 0.1,
                                                                          .end_seconds = 0.2,
                                                                          .idle_seconds = 1.68};
  engine::StageStats& attend = input.stats.stages[static_cast<size_t>(models::StageKind::kAttend)];
  attend = {.tasks = 3, .busy_seconds = 0.5, .cost = {.flops = 1e9, .kv_bytes = 4e9}};
  engine::StageStats& expert =
      input.stats.stages[static_cast<size_t>(models::StageKind::kExpertGroup)];
  expert = {.tasks = 5, .busy_seconds = 1.5, .cost = {.flops = 4e10, .weight_bytes = 1e9}};
  input.stats.expert_tokens = {{}, {8, 4, 0, 4}};
  input.limits = {.name = "cpu",
                  .dtype = "f32",
                  .measured = true,
                  .read_bytes_per_second = 1e10,
                  .flops_per_second = 5e10};
  return input;
}

TEST(Report, NamesTheBoundStageByStage) {
  const ReportInput input = report();
  const Bound bound = bound_of(input.stats, input.limits);
  ASSERT_TRUE(bound.known);
  // attend: 0.4 s of memory; experts: 0.8 s of arithmetic; 2 s were busy.
  EXPECT_FALSE(bound.by_memory);
  EXPECT_NEAR(bound.share, 0.6, 1e-9);
  EXPECT_NEAR(bound.bytes_per_second, 2.5e9, 1);
  EXPECT_NEAR(bound.flops_per_second, 2.05e10, 1);
  EXPECT_FALSE(bound_of(input.stats, std::nullopt).known);
  EXPECT_FALSE(bound_of({}, input.limits).known);
}

TEST(Report, SaysWhatWasDone) {
  const ReportInput input = report();
  const std::string text = report_text(input, 100);
  for (const char* part :
       {"9 answered, 1 error lines", "25.0 generated tok/s", "75.0 prompt tok/s",
        "50 % of the prompt", "75 % of the slots", "host compute",
        "▕████████████████████                    ▏   50 %", "attend", "expert_group", "layer 1",
        "▕█▄ ▄▏ most/mean 2.00", "60 % of the speed that 50.0 GFLOP/s of f32 (measured)",
        "(estimated)", "the host compute lane was busy 50 % of the time",
        "the rest it waited for something ready (42 %), the end (5.0 %), its first task (3.0 %)"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  }
  const Json json = report_json(input);
  EXPECT_EQ(json["requests"]["error_lines"], 1);
  EXPECT_EQ(json["generated_tokens_per_second"], 25.0);
  EXPECT_EQ(json["bound"]["by"], "compute");
  EXPECT_EQ(json["stages"].size(), 2U);
  EXPECT_EQ(json["lanes"], Json({{"host compute", {{"busy_seconds", 2.0}}}}));
  EXPECT_TRUE(base::parse_json(base::to_line(json)).ok());
}

TEST(Report, NamesMemoryNodesWhereThereAreSeveral) {
  ReportInput input = report();
  EXPECT_EQ(report_text(input, 100).find("memory nodes"), std::string::npos);
  input.plan.memory_nodes = 2;
  EXPECT_NE(report_text(input, 100).find("on 2 memory nodes, where the system puts it"),
            std::string::npos);
  input.plan.interleaved = true;
  EXPECT_NE(report_text(input, 100).find("on 2 memory nodes, weights and KV interleaved"),
            std::string::npos);
  EXPECT_EQ(report_json(input)["plan"]["memory_nodes"], 2);
}

// Of pages that a checkpoint's reads must make, it says what a built directory would gain.
TEST(Report, SaysWhatABuiltDirectoryWouldGain) {
  ReportInput input = report();
  input.stats.disk = {.pages = 50, .bytes = int64_t{6} << 30, .all_pages = 40};
  EXPECT_EQ(report_text(input, 100).find("sluice build"), std::string::npos);
  input.stats.disk.made = true;
  input.stats.lanes[static_cast<size_t>(schedule::Lane::kDisk)].busy_seconds = 40;
  EXPECT_NE(report_text(input, 100).find("'sluice build' has them ready\n"), std::string::npos);
  input.limits.emplace().disk_bytes_per_second = 2147483648.0;
  EXPECT_NE(report_text(input, 100).find("read in 3.0 s instead of 40 s (estimated)"),
            std::string::npos)
      << report_text(input, 100);
}

// What was read in vain stands apart from the disk's work.
TEST(Report, TellsWhatGuessesWereWorth) {
  ReportInput input = report();
  input.stats.disk = {.pages = 50, .bytes = 5 << 20, .all_pages = 40};
  EXPECT_EQ(report_text(input, 100).find("guessed"), std::string::npos);
  EXPECT_FALSE(report_json(input)["disk"].contains("guesses"));
  input.plan.policy.guess_experts = true;
  input.stats.disk.guesses = {
      .experts = 80, .right = 60, .pages = 20, .useless_pages = 4, .useless_bytes = 4 << 20};
  EXPECT_NE(report_text(input, 100)
                .find("80 experts, 75 % of them right; 20 were read ahead, 4 in "
                      "vain, 4.0 MiB (not counted above)"),
            std::string::npos)
      << report_text(input, 100);
  EXPECT_EQ(report_json(input)["disk"]["guesses"]["useless_bytes"], 4 << 20);
}

TEST(Report, TellsWhatWasReadOfAnEmbeddingOnDisk) {
  ReportInput input = report();
  input.stats.disk = {.pages = 50, .bytes = 5 << 20, .all_pages = 40};
  EXPECT_EQ(report_text(input, 100).find("embedding"), std::string::npos);
  input.stats.disk.rows = 30;
  input.stats.disk.row_bytes = 3 << 20;
  input.stats.computed_tokens = 70;
  EXPECT_NE(report_text(input, 100).find("30 rows read for 70 tokens, 3.0 MiB"), std::string::npos)
      << report_text(input, 100);
  EXPECT_EQ(report_json(input)["disk"]["embedding_rows_read"], 30);
  EXPECT_EQ(report_json(input)["disk"]["embedding_bytes_read"], 3 << 20);
}

TEST(Report, TellsWhatACacheOnDiskMoved) {
  ReportInput input = report();
  EXPECT_EQ(report_text(input, 100).find("on disk"), std::string::npos);
  input.plan.policy.resident_kv = 0.25;
  input.plan.kv_bytes = 3 << 20;
  input.plan.kv_disk_bytes = 9 << 20;
  input.stats.disk = {.kv_read_bytes = 70 << 20, .kv_written_bytes = 8 << 20, .retries = 2};
  input.stats.lanes[static_cast<size_t>(schedule::Lane::kDisk)].busy_seconds = 0.1;
  const std::string text = report_text(input, 100);
  for (const char* said :
       {"25 % of it, and what is at work: 3.0 MiB; 9.0 MiB on disk",
        "70.0 MiB read, 8.0 MiB written at 0.8 GB/s", "2 reads and writes after"})
    EXPECT_NE(text.find(said), std::string::npos) << text;
  EXPECT_EQ(report_json(input)["disk"]["kv_bytes_read"], 70 << 20);
  EXPECT_EQ(report_json(input)["disk"]["kv_bytes_written"], 8 << 20);
}

TEST(Report, AnEmptyRunHasNoFiguresThatAreNotThere) {
  ReportInput input;
  input.model = "m";
  const std::string text = report_text(input, 80);
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_EQ(text.find("inf"), std::string::npos);
  EXPECT_EQ(text.find("bound"), std::string::npos);
  EXPECT_TRUE(base::parse_json(base::to_line(report_json(input))).ok());
}

TEST(Emulation, IsValidWhileRealWorkLeavesRoom) {
  engine::DeviceStats device;
  device.to_device = {.busy_seconds = 10, .work_seconds = 1};
  device.host = {.busy_seconds = 0.1, .work_seconds = 0.08, .crowded = 40, .crowded_seconds = 0.08};
  EmulationCheck check = check_emulation(device);
  EXPECT_TRUE(check.valid);
  EXPECT_EQ(check.crowded, 40);
  EXPECT_DOUBLE_EQ(check.work_share, 0.8);
  device.compute = {.busy_seconds = 5, .work_seconds = 0.2, .crowded = 1, .crowded_seconds = 0.03};
  check = check_emulation(device);
  EXPECT_FALSE(check.valid);
}

}  // namespace
}  // namespace sluice::batch
