#include "pipeline/trace.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>

namespace sluice::pipeline {

namespace {

int64_t nanoseconds(Trace::Clock::duration d) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Tasks of an asynchronous lane run side by side, which a viewer's track cannot show: each lane has
// as many tracks as tasks were under way at once.
int thread_id(schedule::Lane lane, int track) {
  return static_cast<int>(lane) + track * schedule::kLanes;
}

// Labels are made of stage and level names and numbers: nothing in them needs escaping.
std::string track_json(schedule::Lane lane, int track) {
  const std::string tid = std::to_string(thread_id(lane, track));
  const std::string sort = std::to_string(static_cast<int>(lane) * 1000 + track);
  const std::string number = track > 0 ? " " + std::to_string(track + 1) : "";
  return "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":" + tid +
         ",\"args\":{\"name\":\"" + name(lane) + number + "\"}},\n" +
         "{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":1,\"tid\":" + tid +
         ",\"args\":{\"sort_index\":" + sort + "}},\n";
}

}  // namespace

Trace::Trace(const TraceOptions& options) : begin_(Clock::now()) {
  records_.reserve(static_cast<size_t>(options.max_tasks));
}

void Trace::record(const schedule::Task& task, uint64_t iteration, Clock::time_point start,
                   Clock::time_point end, const Result<TaskResult>& result) {
  Record record{.work = task.work,
                .lane = task.lane,
                .layer = task.layer,
                .micro_batch = task.micro_batch,
                .failed = !result.ok(),
                .iteration = iteration,
                .start_ns = nanoseconds(start - begin_),
                .end_ns = nanoseconds(end - begin_),
                .predicted_ns = task.predicted_ns};
  if (result.ok()) {
    record.flops = result->flops;
    record.bytes = result->bytes;
  }
  const std::lock_guard lock(mutex_);
  if (records_.size() < records_.capacity()) {
    records_.push_back(record);
  } else {
    ++dropped_;
  }
}

int64_t Trace::recorded() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(records_.size());
}

int64_t Trace::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

// For each record the first track of its lane on which nothing else is under way.
std::vector<int> Trace::tracks() const {
  std::vector<size_t> order(records_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int64_t start_a = records_[a].start_ns, start_b = records_[b].start_ns;
    return start_a != start_b ? start_a < start_b : a < b;
  });
  std::vector<int> tracks(records_.size());
  std::array<std::vector<int64_t>, schedule::kLanes> ends;
  for (const size_t i : order) {
    const Record& r = records_[i];
    std::vector<int64_t>& lane = ends[static_cast<size_t>(r.lane)];
    const auto free =
        std::ranges::find_if(lane, [&](int64_t end_ns) { return end_ns <= r.start_ns; });
    tracks[i] = static_cast<int>(free - lane.begin());
    if (free == lane.end()) {
      lane.push_back(r.end_ns);
    } else {
      *free = r.end_ns;
    }
  }
  return tracks;
}

std::string Trace::event_json(const Record& r, int track) {
  const schedule::Task task{
      .work = r.work, .lane = r.lane, .layer = r.layer, .micro_batch = r.micro_batch};
  const std::string name = label(task);
  char text[512];
  int used = std::snprintf(
      text, sizeof text,
      "{\"ph\":\"X\",\"name\":\"%s\",\"cat\":\"%s\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,"
      "\"args\":{\"iteration\":%llu,\"predicted_us\":%.3f",
      name.c_str(), task.transfer() != nullptr ? "transfer" : "stage", thread_id(r.lane, track),
      static_cast<double>(r.start_ns) * 1e-3, static_cast<double>(r.end_ns - r.start_ns) * 1e-3,
      static_cast<unsigned long long>(r.iteration), static_cast<double>(r.predicted_ns) * 1e-3);
  std::string json(text, static_cast<size_t>(used));
  if (r.flops > 0) json += ",\"flops\":" + std::to_string(static_cast<int64_t>(r.flops));
  if (r.bytes > 0) json += ",\"bytes\":" + std::to_string(static_cast<int64_t>(r.bytes));
  if (r.failed) json += ",\"failed\":true";
  return json + "}}";
}

Status Trace::write(const std::string& path) const {
  const auto failed = [&](const char* what) {
    return Error{ErrorCode::kIo, std::string(what) + " the trace '" + path +
                                     "': " + std::strerror(errno) + "; give another --trace file"};
  };
  const std::lock_guard lock(mutex_);
  std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "wb"));
  if (file == nullptr) return failed("cannot create");
  const auto put = [&](const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
  };
  const std::vector<int> tracks = this->tracks();
  std::array<int, schedule::kLanes> used{};
  for (size_t i = 0; i < records_.size(); ++i) {
    int& most = used[static_cast<size_t>(records_[i].lane)];
    most = std::max(most, tracks[i] + 1);
  }
  bool ok = put("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"recorded_tasks\":" +
                std::to_string(records_.size()) + ",\"dropped_tasks\":" + std::to_string(dropped_) +
                "},\"traceEvents\":[\n");
  for (size_t lane = 0; lane < used.size(); ++lane) {
    for (int track = 0; track < used[lane]; ++track) {
      ok = ok && put(track_json(static_cast<schedule::Lane>(lane), track));
    }
  }
  for (size_t i = 0; ok && i < records_.size(); ++i) {
    ok = put(event_json(records_[i], tracks[i]) + ",\n");
  }
  ok = ok && put("{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":{\"name\":\"sluice\"}}"
                 "\n]}\n");
  if (!ok || std::fflush(file.get()) != 0) return failed("cannot write");
  if (std::fclose(file.release()) != 0) return failed("cannot write");
  return {};
}

}  // namespace sluice::pipeline
