#include "cli/plan_page.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "base/units.h"
#include "batch/bars.h"

namespace sluice::cli {
namespace {

using base::format_bytes;
using base::format_count;
using planner::Answer;
using planner::Question;
using schedule::Lane;

constexpr int kBarCells = 32;
constexpr size_t kWhatIfs = 8;

template <class... Args>
std::string print(const char* format, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

std::string bytes(int64_t count) { return format_bytes(static_cast<double>(count)); }

std::string seconds(double value) {
  if (value >= 10) return base::format_seconds(value);
  if (value >= 1) return print("%.2f s", value);
  if (value >= 1e-3) return print("%.1f ms", value * 1e3);
  return print("%.0f us", value * 1e6);
}

const char* figures(const Answer& answer) {
  return answer.machine.measured ? "predicted from measured figures"
                                 : "predicted from stated figures";
}

// Of the experts' arithmetic, what the device does: F_g.
double device_share(const planner::Pass& pass) {
  double device = 0, all = 0;
  for (const planner::WorkTime& work : pass.work) {
    if (work.what != std::string_view(models::name(models::StageKind::kExpertGroup))) continue;
    all += work.cost.flops;
    if (work.lane == Lane::kDeviceCompute) device += work.cost.flops;
  }
  return all > 0 ? device / all : 0;
}

// Why experts are computed there: what an iteration takes so, and with them elsewhere.
std::string other_places(const Question& q, const Answer& a) {
  std::string text = print("  an iteration so: %s", seconds(a.estimate.seconds_per_token).c_str());
  const char* separator = "; experts ";
  for (const auto place : {plan::Place::kDevice, plan::Place::kHost, plan::Place::kAuto}) {
    planner::Candidate other = a.candidate;
    const bool can =
        place != plan::Place::kAuto || planner::find_schedule(other.policy.schedule)->by_expert;
    if (place == a.candidate.policy.experts_on || !can) continue;
    other.policy.experts_on = place;
    const planner::Estimate e = planner::estimate(a.subject(), other, q.workload);
    text += separator + std::string(planner::words(place)) +
            print(": %s, bound by %s", seconds(e.seconds_per_token).c_str(),
                  schedule::name(e.pass.bound));
    separator = "; ";
  }
  return text + "\n";
}

std::string head(const Question& q, const Answer& a) {
  const plan::Policy& p = a.candidate.policy;
  std::string text = print("%s on %s, %s\n", q.model_name.c_str(), a.machine.name.c_str(),
                           q.workload.name.c_str());
  text += print("  %s requests, prompts of %.0f tokens (longest %s), answers of %.0f; for %s\n\n",
                format_count(q.workload.count()).c_str(), q.workload.mean_prompt(),
                format_count(q.workload.max_prompt()).c_str(), q.workload.mean_generated(),
                planner::name(q.objective));
  text += print("%s tokens/s: %s in all, a token of one sequence every %s  (%s)\n",
                batch::rate(a.tokens_per_second).c_str(), seconds(a.seconds).c_str(),
                seconds(a.seconds_per_token).c_str(), figures(a));
  if (a.estimate.joules_per_token > 0)
    text += print("%.2f J/token, estimated\n", a.estimate.joules_per_token);
  std::string parts;
  if (const int64_t count = a.candidate.micro_batches(); count > 1)
    parts = print(" in %s micro-batches of %s", format_count(count).c_str(),
                  format_count(p.micro_batch).c_str());
  text += print("\n  schedule %s, batch %s%s, quant %s, KV %s\n", p.schedule.c_str(),
                format_count(p.batch).c_str(), parts.c_str(), a.candidate.quant.c_str(),
                kernels::name(a.candidate.kv_dtype));
  if (a.machine.has_device()) {
    text += print("  attention on the %s (A_g = %d), experts %s (F_g = %.2f)\n",
                  plan::name(p.attention_on), p.attention_on == plan::Place::kDevice,
                  planner::words(p.experts_on), device_share(a.estimate.pass));
    text += print(
        "  on the device stay %.1f %% of the experts (r_w = %.3f), %.1f %% of the cache (r_c = "
        "%.2f)\n",
        100 * p.resident_weights, p.resident_weights, 100 * p.resident_kv, p.resident_kv);
    text += other_places(q, a);
  }
  if (p.kv_on_disk())
    text += print("  in host memory stay %.0f %% of the cache (r_c = %.2f)\n", 100 * p.resident_kv,
                  p.resident_kv);
  if (!a.runs) text += "  costed alone: " + a.why_not + "\n";
  return text;
}

std::string place(const char* name, int64_t room, int64_t weights, int64_t kv,
                  int64_t activations) {
  const auto share = [&](int64_t part) {
    return room > 0 ? static_cast<double>(part) / static_cast<double>(room) : 0.0;
  };
  // One bar of three parts: weights, cache, activations.
  std::string bar;
  double until = 0;
  int drawn = 0;
  const std::pair<int64_t, const char*> parts[] = {{weights, "█"}, {kv, "▓"}, {activations, "▒"}};
  for (const auto& [part, cell] : parts) {
    until += share(part);
    int to = static_cast<int>(std::lround(std::min(until, 1.0) * kBarCells));
    if (part > 0 && to == drawn && to < kBarCells) ++to;
    for (; drawn < to; ++drawn) bar += cell;
  }
  for (; drawn < kBarCells; ++drawn) bar += "·";
  return print("  %-7s ", name) + bar +
         print(" %10s of %10s  ", bytes(weights + kv + activations).c_str(), bytes(room).c_str()) +
         print("weights %s, KV %s, activations %s\n", bytes(weights).c_str(), bytes(kv).c_str(),
               bytes(activations).c_str());
}

std::string places(const Answer& a) {
  const planner::Footprint& f = a.footprint;
  std::string text = "\nWhat lives where  (█ weights  ▓ KV cache  ▒ activations)\n";
  if (a.machine.has_device()) {
    text += place("device", a.machine.device_memory, f.device_weights, f.device_kv,
                  f.device_activations);
  }
  text += place("host", a.machine.host_memory, f.host_weights, f.host_kv, f.host_activations);
  if (f.disk() > 0) text += place("disk", a.machine.disk_bytes, f.disk_weights, f.disk_kv, 0);
  return text;
}

// A lane's time in one iteration of every micro-batch, and what it does most.
std::string lanes(const Answer& a) {
  const planner::Pass& pass = a.estimate.pass;
  std::string text = print("\nOne iteration of all %s micro-batches: %s, bound by %s\n",
                           format_count(a.candidate.micro_batches()).c_str(),
                           seconds(a.seconds_per_token).c_str(), schedule::name(pass.bound));
  for (int lane = 0; lane < schedule::kLanes; ++lane) {
    const double busy = pass.lanes[static_cast<size_t>(lane)];
    if (busy <= 0) continue;
    std::vector<planner::WorkTime> work;
    for (const planner::WorkTime& w : pass.work)
      if (static_cast<int>(w.lane) == lane) work.push_back(w);
    std::sort(work.begin(), work.end(), [](const auto& x, const auto& y) {
      return x.seconds != y.seconds ? x.seconds > y.seconds
                                    : std::string_view(x.what) < std::string_view(y.what);
    });
    std::string most;
    for (size_t i = 0; i < std::min<size_t>(work.size(), 3); ++i) {
      if (work[i].seconds < 0.01 * busy) break;
      most += print("%s%s %s", most.empty() ? "" : ", ", work[i].what,
                    seconds(work[i].seconds).c_str());
    }
    text += print("  %-15s %9s %6s  ", schedule::name(static_cast<Lane>(lane)),
                  seconds(busy).c_str(), batch::percent(busy / a.seconds_per_token).c_str()) +
            batch::bar(busy / a.seconds_per_token, 16) + "  " + most + "\n";
  }
  if (a.replayed) {
    text += print("  replayed %s tasks of the schedule: %.1f %% over the busiest lane%s\n",
                  format_count(a.replayed->tasks).c_str(), 100 * (a.replayed->stretch - 1),
                  a.replayed->whole ? ", the whole job" : "");
  }
  return text;
}

struct Intensity {
  double flops = 0, bytes = 0, moved = 0;
};

// Work of a kind, wherever it is done, and what of its data moves.
Intensity intensity_of(const planner::Pass& pass, const char* what, const char* payload, bool kv) {
  Intensity sum;
  for (const planner::WorkTime& w : pass.work) {
    if (w.what == std::string_view(what)) {
      sum.flops += w.cost.flops;
      sum.bytes += kv ? w.cost.kv_bytes : w.cost.weight_bytes;
    }
    if (w.what == std::string_view(payload) &&
        (w.lane == Lane::kHostToDevice || w.lane == Lane::kDisk))
      sum.moved += w.cost.bytes();
  }
  return sum;
}

std::string point(const char* what, double intensity, const planner::TurningPoints& points,
                  const char* verdict) {
  return print("  %-10s %9.1f FLOP/byte   P1 %8.1f   P2 %8.1f   %s\n", what, intensity, points.stay,
               points.link, verdict);
}

// Eq. 9 to 11: of attention over the cache, and of experts over a whole batch.
std::string turning(const Answer& a) {
  if (!a.machine.has_device()) return "";
  const planner::Pass& pass = a.estimate.pass;
  const auto& host = a.machine.rates(Lane::kHostCompute);
  const auto& device = a.machine.rates(Lane::kDeviceCompute);
  const double link = a.machine.rates(Lane::kHostToDevice).bytes_per_second;
  std::string text =
      "\nTurning points (HRM eq. 9 to 11), by FLOP per byte of what lies on the host\n";
  if (const Intensity i = intensity_of(pass, "attend", "kv", true); i.bytes > 0) {
    const double at = i.flops / i.bytes;
    const auto points = planner::turning_points(host, device, link, at, at);
    text += point("attention", at, points,
                  at < points.stay   ? "below P1: computed where the cache lies"
                  : at < points.link ? "moving the cache would pay, bound by the link"
                                     : "moving the cache would pay, bound by the device");
  }
  const Intensity i = intensity_of(pass, "expert_group", "weights", false);
  if (i.bytes > 0) {
    // On the host a batch reads each expert once, on the device every micro-batch does.
    const auto batches = static_cast<double>(a.candidate.micro_batches());
    const double there = i.flops / i.bytes;
    const double here = there * batches;
    const auto points = planner::turning_points(host, device, link, here, there);
    text += point("experts", here, points,
                  here < points.stay   ? "below P1: computed where the weights lie"
                  : here < points.link ? "above P1: moved; below P2, so bound by the link"
                                       : "above P2: moved, and bound by the device");
    text += print(
        "  balance    eq. 11: at %.0f micro-batches the device reads its memory for as "
        "long as the link moves a layer; here %.0f\n",
        device.bytes_per_second / link, batches);
  }
  return text;
}

std::string gains(const std::vector<planner::WhatIf>& what_ifs) {
  if (what_ifs.empty()) return "";
  std::string text = "\nWhat if\n";
  for (size_t i = 0; i < std::min(what_ifs.size(), kWhatIfs); ++i) {
    text +=
        "  " + batch::pad(what_ifs[i].what, 30) + print("%6.2f x the tokens/s\n", what_ifs[i].gain);
  }
  return text;
}

}  // namespace

std::string plan_summary(const Question& question, const Answer& answer,
                         const std::vector<planner::WhatIf>& what_ifs) {
  const planner::Pass& pass = answer.estimate.pass;
  std::string text = head(question, answer) + places(answer);
  text += print("\nBound by %s", schedule::name(pass.bound));
  if (!what_ifs.empty() && what_ifs.front().gain > 1) {
    text += print("; most would help: %s, %.2f x the tokens/s", what_ifs.front().what.c_str(),
                  what_ifs.front().gain);
  }
  return text + ". --explain says why.\n";
}

std::string plan_page(const Question& question, const Answer& answer,
                      const std::vector<planner::WhatIf>& what_ifs, int columns) {
  std::string text = head(question, answer) + places(answer) + lanes(answer);
  if (const std::string timeline = plan_timeline(answer, std::clamp(columns - 28, 32, 96));
      !timeline.empty()) {
    text += "\n  " + seconds(answer.seconds_per_token) +
            " of it, left to right  (A attention  E experts  w weights  q qkv  o o_proj  h hidden  "
            "k KV  H head  s shared)\n" +
            timeline;
  }
  text += turning(answer) + gains(what_ifs);
  text += print("\n%s policies costed%s\n", format_count(answer.costed).c_str(),
                answer.replayed ? ", the best replayed" : "");
  return text;
}

}  // namespace sluice::cli
