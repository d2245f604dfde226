#include "sim/campaign.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <thread>

#include "schedule/builder.h"

namespace sluice::sim {
namespace {

// Where all workers meet.
struct Meeting {
  std::mutex mutex;
  std::atomic<int64_t> next{0};
  CampaignResult result;
};

void work(const Stage& stage, const CampaignOptions& options, int worker, Meeting& meeting) {
  const std::string directory =
      (std::filesystem::path(options.directory) / ("worker-" + std::to_string(worker))).string();
  while (true) {
    if (options.stop_requested != nullptr && *options.stop_requested > 0) return;
    const int64_t index = meeting.next++;
    if (index >= options.seeds) return;
    const uint64_t seed = options.first + static_cast<uint64_t>(index);
    if (options.on_begin) options.on_begin(seed);
    SeedResult one = run_seed(stage, seed, directory, nullptr, options.mutation);
    const std::lock_guard lock(meeting.mutex);
    CampaignResult& all = meeting.result;
    ++all.done;
    all.counts += one.counts;
    all.hash += one.hash;
    for (const auto& [schedule, runs] : one.schedules) all.schedules[schedule] += runs;
    if (!one.violation.empty()) all.failures.push_back(std::move(one));
    if (std::ssize(all.failures) >= options.most_failures) meeting.next = options.seeds;
    if (options.on_done) options.on_done(all.done, std::ssize(all.failures));
  }
}

}  // namespace

Result<CampaignResult> run_campaign(const CampaignOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  SLUICE_ASSIGN(const Stage stage, make_stage(options.directory));
  Meeting meeting;
  std::vector<std::thread> workers;
  for (int i = 1; i < options.threads; ++i)
    workers.emplace_back([&, i] { work(stage, options, i, meeting); });
  work(stage, options, 0, meeting);
  for (std::thread& worker : workers) worker.join();
  std::ranges::sort(meeting.result.failures, {}, &SeedResult::seed);
  meeting.result.seconds = base::seconds(std::chrono::steady_clock::now() - start);
  return std::move(meeting.result);
}

std::vector<std::string> unexercised(const CampaignResult& result) {
  std::vector<std::string> missing;
  for (const schedule::Builder* builder : schedule::builders()) {
    if (!result.schedules.contains(builder->name()))
      missing.push_back(std::string("the schedule ") + builder->name());
  }
  for (int i = 0; i < kHappenings; ++i) {
    const auto happening = static_cast<Happening>(i);
    if (result.counts[happening] == 0) missing.push_back(name(happening));
  }
  return missing;
}

std::string summary(const CampaignResult& result) {
  char line[160];
  std::snprintf(line, sizeof line, "%lld seeds in %.1f s (%.1f ms each), %zu failed\n",
                static_cast<long long>(result.done), result.seconds,
                1e3 * result.seconds / static_cast<double>(std::max<int64_t>(result.done, 1)),
                result.failures.size());
  std::string text = line;
  for (int i = 0; i < kHappenings; ++i) {
    const auto happening = static_cast<Happening>(i);
    std::snprintf(line, sizeof line, "  %-28s %12lld\n", name(happening),
                  static_cast<long long>(result.counts[happening]));
    text += line;
  }
  text += "  runs by schedule:";
  for (const auto& [schedule, runs] : result.schedules)
    text += " " + schedule + " " + std::to_string(runs);
  return text + "\n";
}

}  // namespace sluice::sim
