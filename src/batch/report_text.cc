#include <algorithm>
#include <numeric>

#include "base/units.h"
#include "batch/bars.h"
#include "batch/critical_lane.h"
#include "batch/report.h"

namespace sluice::batch {
namespace {

using base::format_bytes;
using base::format_count;
using base::format_seconds;

constexpr int kLabelCells = 16;
constexpr int kMaxHeatCells = 64;
constexpr size_t kMaxHeatLayers = 48;

std::string row(const std::string& label, const std::string& text) {
  return "  " + pad(label, kLabelCells) + text + "\n";
}

// A rate of arithmetic or of memory: "12.3 GB/s". Powers of 1000, as vendors count them.
std::string giga(double per_second, const char* unit) {
  return rate(per_second / 1e9) + " G" + unit;
}

std::string requests_text(const RunState& state) {
  std::string text = format_count(state.answered) + " answered";
  text += state.failed > 0 ? ", " + format_count(state.failed) + " error lines" : ", no errors";
  if (state.answered_before > 0)
    text += "; " + format_count(state.answered_before) + " by earlier runs";
  if (!state.at_end)
    text += "; " + format_count(state.requests - state.done()) + " not yet answered";
  return text;
}

std::string lane_row(const std::string& label, double seconds, double whole, int bar_cells) {
  return row(label, "▕" + bar(base::ratio(seconds, whole), bar_cells) + "▏ " +
                        pad_left(percent(base::ratio(seconds, whole)), 6) + "  " +
                        format_seconds(seconds));
}

// Of a machine with more than one.
std::string nodes_row(const plan::Plan& plan) {
  if (plan.memory_nodes < 2) return "";
  const std::string found = "on " + format_count(plan.memory_nodes) + " memory nodes, ";
  return row("", found + (plan.interleaved ? "weights and KV interleaved"
                                           : "where the system puts it: it refuses to interleave"));
}

std::string time_text(const ReportInput& input, int columns) {
  const int cells = std::clamp(columns - kLabelCells - 26, 10, 40);
  const RunState& state = input.state;
  const engine::EngineStats& stats = input.stats;
  std::string text = "\n  where the time went (busy, not waiting; measured)\n";
  const auto lane = [&](schedule::Lane which) {
    text += lane_row(name(which), stats.lane(which).busy_seconds, state.seconds, cells);
  };
  lane(schedule::Lane::kHostCompute);
  std::vector<size_t> order(stats.stages.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double busy_a = stats.stages[a].busy_seconds, busy_b = stats.stages[b].busy_seconds;
    return busy_a != busy_b ? busy_a > busy_b : a < b;
  });
  for (const size_t i : order) {
    if (stats.stages[i].tasks == 0) continue;
    text += lane_row(std::string("  ") + models::name(static_cast<models::StageKind>(i)),
                     stats.stages[i].busy_seconds, state.seconds, cells);
  }
  if (stats.device.present) {
    lane(schedule::Lane::kDeviceCompute);
    lane(schedule::Lane::kHostToDevice);
    lane(schedule::Lane::kDeviceToHost);
  }
  if (stats.disk.works()) lane(schedule::Lane::kDisk);
  text += lane_row("read, tokenize", state.reading_seconds, state.seconds, cells);
  text += lane_row("write, sync", state.writing_seconds, state.seconds, cells);
  return text;
}

std::string experts_text(const engine::EngineStats& stats) {
  std::string text;
  size_t shown = 0, moe_layers = 0;
  for (size_t layer = 0; layer < stats.expert_tokens.size(); ++layer) {
    const auto& counts = stats.expert_tokens[layer];
    const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    if (counts.empty() || total == 0) continue;
    if (moe_layers++ >= kMaxHeatLayers) continue;
    ++shown;
    const std::vector<double> values(counts.begin(), counts.end());
    const double most = *std::max_element(values.begin(), values.end());
    const double mean = static_cast<double>(total) / static_cast<double>(counts.size());
    char ratio[32];
    std::snprintf(ratio, sizeof ratio, "%.2f", most / mean);
    text += row("  layer " + std::to_string(layer),
                "▕" + heat(values, kMaxHeatCells) + "▏ most/mean " + ratio);
  }
  if (text.empty()) return "";
  if (moe_layers > shown)
    text += row("", "and " + std::to_string(moe_layers - shown) + " more layers (--json has all)");
  return "\n  expert load (tokens by expert, against the layer's most used; measured)\n" + text;
}

// What was guessed of the next layer's experts. Their reads are in the row above but for those in
// vain.
std::string guesses_text(const engine::GuessStats& guesses) {
  if (guesses.experts == 0) return "";
  return row("  guessed",
             format_count(guesses.experts) + " experts, " +
                 percent(base::ratio(static_cast<double>(guesses.right),
                                     static_cast<double>(guesses.experts))) +
                 " of them right; " + format_count(guesses.pages) + " were read ahead, " +
                 format_count(guesses.useless_pages) + " in vain, " +
                 format_bytes(static_cast<double>(guesses.useless_bytes)) + " (not counted above)");
}

// Of experts that are packed from the checkpoint whenever they are read: what 'sluice build' would
// gain, whose pages lie ready.
std::string packed_text(const ReportInput& input, double seconds) {
  const double rate = input.limits ? input.limits->disk_bytes_per_second : 0;
  std::string gain = "a directory of 'sluice build' has them ready";
  if (rate > 0)
    gain += ", read in " + format_seconds(static_cast<double>(input.stats.disk.bytes) / rate) +
            " instead of " + format_seconds(seconds) + " (estimated)";
  return row("  packed", "from the model's own files at each read; " + gain);
}

double disk_seconds(const engine::EngineStats& stats) {
  return stats.lane(schedule::Lane::kDisk).busy_seconds + stats.disk.guesses.useful_seconds;
}

// Of experts that lie on disk: what was read.
std::string experts_on_disk_text(const ReportInput& input) {
  const engine::DiskStats& disk = input.stats.disk;
  if (disk.all_pages == 0) return "";
  const double seconds = disk_seconds(input.stats);
  std::string text = "\n  experts on disk\n";
  text += row("  in memory", format_count(disk.resident_pages) + " of " +
                                 format_count(disk.all_pages) + " at the end, " +
                                 percent(base::ratio(static_cast<double>(disk.resident_pages),
                                                     static_cast<double>(disk.all_pages))));
  text += row("  read", format_count(disk.pages) + " experts, " +
                            format_bytes(static_cast<double>(disk.bytes)) + " at " +
                            giga(base::ratio(static_cast<double>(disk.all_bytes()), seconds),
                                 "B/s while the disk worked (measured)"));
  if (disk.made) text += packed_text(input, seconds);
  text += guesses_text(disk.guesses);
  if (disk.rows > 0) {
    text += row("  embedding", format_count(disk.rows) + " rows read for " +
                                   format_count(input.stats.computed_tokens) + " tokens, " +
                                   format_bytes(static_cast<double>(disk.row_bytes)));
  }
  return text;
}

// Of keys and values whose home is the disk: what came and went.
std::string kv_on_disk_text(const ReportInput& input) {
  const plan::Plan& plan = input.plan;
  if (!plan.policy.kv_on_disk()) return "";
  const engine::DiskStats& disk = input.stats.disk;
  std::string text = "\n  KV cache on disk\n";
  text +=
      row("  in memory", percent(plan.policy.resident_kv) + " of it, and what is at work: " +
                             format_bytes(static_cast<double>(plan.kv_bytes)) + "; " +
                             format_bytes(static_cast<double>(plan.kv_disk_bytes)) + " on disk");
  text += row("  moved", format_bytes(static_cast<double>(disk.kv_read_bytes)) + " read, " +
                             format_bytes(static_cast<double>(disk.kv_written_bytes)) + " written" +
                             (disk.all_pages > 0
                                  ? std::string()
                                  : " at " + giga(base::ratio(static_cast<double>(disk.all_bytes()),
                                                              disk_seconds(input.stats)),
                                                  "B/s while the disk worked (measured)")));
  return text;
}

std::string disk_text(const ReportInput& input) {
  std::string text = experts_on_disk_text(input) + kv_on_disk_text(input);
  if (const int64_t retries = input.stats.disk.retries; retries > 0)
    text += row("  repeated", format_count(retries) + " reads and writes after faults");
  return text;
}

// Of an emulated machine: what lies there, and whether real work left the play its time.
std::string device_text(const ReportInput& input) {
  const engine::DeviceStats& device = input.stats.device;
  if (!device.present) return "";
  std::string text = "\n  emulated device\n";
  text += row("  experts", format_count(device.resident_pages) + " of " +
                               format_count(device.all_pages) + " on it at the end; " +
                               format_bytes(static_cast<double>(device.to_device.bytes)) +
                               " moved to it");
  const EmulationCheck check = check_emulation(device);
  text += row(check.valid ? "  valid" : "  INVALID",
              "real work took at most " + percent(check.work_share) + " of a lane's time played" +
                  (check.valid ? ""
                               : "; " + format_count(check.crowded) +
                                     " tasks took more than half of theirs"));
  return text;
}

std::string bound_text(const ReportInput& input) {
  std::string text;
  if (const auto critical = critical_lane(input.stats, input.state.seconds)) {
    text = "\n  what bound the run\n" + row("  lane", busy_text(*critical));
    if (const std::string rest = bubble_text(*critical); !rest.empty()) text += row("", rest);
  }
  const Bound bound = bound_of(input.stats, input.limits);
  if (!bound.known) return text;
  const MachineLimits& limits = *input.limits;
  const std::string source = limits.measured ? " (measured)" : " (stated)";
  const std::string limit = bound.by_memory
                                ? giga(limits.read_bytes_per_second, "B/s of memory bandwidth")
                                : giga(limits.flops_per_second, "FLOP/s of ") + limits.dtype;
  text += row(bound.by_memory ? "  memory" : "  compute",
              percent(bound.share) + " of the speed that " + limit + source + " allow its stages");
  if (bound.by_memory && bound.share > 1)
    text += row("", "more than memory gives: the weights stayed in the processor's caches");
  if (!bound.by_memory && bound.share > 1.1 && limits.measured)
    text += row("", "more than was measured: something disturbed that; sluice probe --again");
  text += row("  reached", giga(bound.bytes_per_second, "B/s") + " and " +
                               giga(bound.flops_per_second, "FLOP/s while computing (estimated)"));
  const double bytes = bound.work.bytes();
  text += row("  bytes", percent(base::ratio(bound.work.weight_bytes, bytes)) + " weights, " +
                             percent(base::ratio(bound.work.kv_bytes, bytes)) + " KV, " +
                             percent(base::ratio(bound.work.activation_bytes, bytes)) +
                             " activations (estimated)");
  return text;
}

}  // namespace

std::string report_text(const ReportInput& input, int columns) {
  const RunState& state = input.state;
  const engine::EngineStats& stats = input.stats;
  std::string text = "\n" + input.model + ": " + format_count(state.answered + state.failed) +
                     " of " + format_count(state.requests) + " requests in " +
                     format_seconds(state.seconds) + "\n\n";
  text += row("requests", requests_text(state));
  if (state.other_models > 0)
    text += row("", format_count(state.other_models) + " of the answered named another model");
  text += row("tokens", format_count(stats.prompt_tokens) + " prompt, " +
                            format_count(stats.generated_tokens) + " generated");
  text += row("throughput",
              rate(generated_per_second(input)) + " generated tok/s over the whole time, " +
                  rate(base::ratio(static_cast<double>(stats.prompt_tokens), state.seconds)) +
                  " prompt tok/s");
  text +=
      row("prefix cache", percent(base::ratio(static_cast<double>(stats.cached_prompt_tokens),
                                              static_cast<double>(stats.prompt_tokens))) +
                              " of the prompt tokens (" + format_count(stats.cached_prompt_tokens) +
                              ") were there already");
  text += row("schedule", input.plan.policy.schedule + ", prompt and answer of up to " +
                              format_count(input.plan.max_seq_len) + " tokens together");
  text +=
      row("batch",
          percent(base::ratio(static_cast<double>(stats.sequence_slots_used),
                              static_cast<double>(stats.sequence_slots))) +
              " of the slots occupied, " + format_count(stats.iterations) + " iterations" +
              (stats.preemptions > 0 ? ", " + format_count(stats.preemptions) + " requests set back"
                                     : std::string()));
  if (stats.failed_iterations > 0 || state.faulted > 0) {
    text +=
        row("faults", format_count(stats.failed_iterations) +
                          " iterations were ended by faults of the machine and computed again; " +
                          format_count(state.faulted) +
                          " requests failed by them (--retry-errors answers those again)");
  }
  text += row("memory", format_bytes(static_cast<double>(input.plan.weight_bytes)) + " weights, " +
                            format_bytes(static_cast<double>(input.plan.kv_bytes)) + " KV in " +
                            kernels::name(input.plan.kv_dtype) + ", " +
                            format_bytes(static_cast<double>(input.plan.activation_bytes)) +
                            " activations; loaded in " + format_seconds(input.load_seconds));
  if (input.peak_memory_bytes > 0) {
    text += row("", format_bytes(static_cast<double>(input.peak_memory_bytes)) +
                        " at most, of the whole process");
  }
  text += nodes_row(input.plan);
  text += time_text(input, columns);
  text += experts_text(stats);
  text += disk_text(input);
  text += device_text(input);
  text += bound_text(input);
  if (input.scores) text += score_text(*input.scores, columns);
  return text;
}

}  // namespace sluice::batch
