#include "planner/roofline_svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <tuple>

#include "base/units.h"

namespace sluice::planner {

using schedule::Lane;

namespace {

constexpr double kWidth = 1000, kHeight = 640;
constexpr double kLeft = 98, kRight = 250, kTop = 84, kBottom = 64;
constexpr const char* kDevice = "#2563a8";
constexpr const char* kHost = "#c2571a";
constexpr const char* kLink = "#2c8c4e";
constexpr const char* kDisk = "#77706a";
constexpr const char* kInk = "#26231f";
constexpr const char* kGrid = "#e6e2dc";

template <class... Args>
std::string print(const char* format, Args... args) {
  char text[1024];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

// "65 TFLOP/s", "300 GB/s"
std::string amount(double value, const char* unit) {
  constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T", "P", "E"};
  size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < std::size(kPrefixes)) {
    value /= 1000;
    ++prefix;
  }
  const bool whole = value >= 10 || std::abs(value - std::round(value)) < 0.05;
  return print(whole ? "%.0f %s%s" : "%.1f %s%s", value, kPrefixes[prefix], unit);
}

struct Roof {
  std::string name;
  const char* colour;
  double bytes_per_second = 0;
  double flops_per_second = 0;  // 0: a link or a disk, which only moves
};

struct Dot {
  std::string name;
  const char* colour;
  double intensity = 0, flops_per_second = 0;
};

// FLOP per byte across, FLOP/s up, both logarithmic.
class Picture {
 public:
  Picture(std::vector<Roof> roofs, std::vector<Dot> dots)
      : roofs_(std::move(roofs)), dots_(std::move(dots)) {
    range();
  }

  std::string draw(const std::string& title, const std::string& below) {
    out_ = print(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
        "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\">\n"
        "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#fdfcfa\"/>\n",
        kWidth, kHeight, kWidth, kHeight);
    text(kLeft, 34, title, kInk, "start", 19);
    text(kLeft, 58, below, "#6b655e", "start", 13);
    axes();
    for (const Roof& roof : roofs_) draw_roof(roof);
    draw_dots();
    return out_ + "</svg>\n";
  }

 private:
  // From a decade below the lowest point to one above the highest roof.
  void range() {
    double left = 1, right = 1000, low = 1e12, high = 1e9;
    for (const Roof& roof : roofs_) {
      if (roof.flops_per_second <= 0) continue;
      high = std::max(high, roof.flops_per_second);
      right = std::max(right, roof.flops_per_second / roof.bytes_per_second);
    }
    for (const Dot& dot : dots_) {
      left = std::min(left, dot.intensity);
      right = std::max(right, dot.intensity);
      low = std::min(low, dot.flops_per_second);
    }
    x0_ = std::floor(std::log10(left));
    x1_ = std::ceil(std::log10(right * 2));
    y0_ = std::floor(std::log10(low / 2));
    y1_ = std::ceil(std::log10(high * 1.5));
  }
  double x(double intensity) const {
    return kLeft + (std::log10(intensity) - x0_) / (x1_ - x0_) * (kWidth - kLeft - kRight);
  }
  double y(double flops) const {
    return kHeight - kBottom - (std::log10(flops) - y0_) / (y1_ - y0_) * (kHeight - kTop - kBottom);
  }

  void text(double at_x, double at_y, const std::string& words, const char* colour,
            const char* anchor = "start", int size = 13, double turn = 0) {
    out_ += print("<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\" text-anchor=\"%s\" font-size=\"%d\"",
                  at_x, at_y, colour, anchor, size);
    if (turn != 0) out_ += print(" transform=\"rotate(%.1f %.1f %.1f)\"", turn, at_x, at_y);
    out_ += ">" + escaped(words) + "</text>\n";
  }
  void line(double ax, double ay, double bx, double by, const char* colour, double width,
            const char* dashes = "") {
    out_ += print(
        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%.1f\"",
        ax, ay, bx, by, colour, width);
    if (*dashes != '\0') out_ += print(" stroke-dasharray=\"%s\"", dashes);
    out_ += "/>\n";
  }

  void axes() {
    const double right = kWidth - kRight, bottom = kHeight - kBottom;
    for (double d = x0_; d <= x1_; ++d) {
      const double at = x(std::pow(10, d));
      line(at, kTop, at, bottom, kGrid, 1);
      text(at, bottom + 20, amount(std::pow(10, d), ""), "#6b655e", "middle");
    }
    for (double d = y0_; d <= y1_; ++d) {
      const double at = y(std::pow(10, d));
      line(kLeft, at, right, at, kGrid, 1);
      text(kLeft - 8, at + 4, amount(std::pow(10, d), "FLOP/s"), "#6b655e", "end", 12);
    }
    text((kLeft + right) / 2, bottom + 46, "operational intensity, FLOP per byte that moves", kInk,
         "middle");
  }

  // A slope as far as the picture or the level's peak, and then that peak.
  void draw_roof(const Roof& roof) {
    const double left = std::pow(10, x0_), low = std::pow(10, y0_), high = std::pow(10, y1_);
    const double right = std::pow(10, x1_);
    const double from = std::max(left, low / roof.bytes_per_second);
    double to = std::min(right, high / roof.bytes_per_second);
    const bool moves = roof.flops_per_second <= 0;
    if (!moves) to = std::min(to, roof.flops_per_second / roof.bytes_per_second);
    line(x(from), y(from * roof.bytes_per_second), x(to), y(to * roof.bytes_per_second),
         roof.colour, 2.4, moves ? "7 5" : "");
    const double slope = std::atan2(y(10 * low) - y(low), x(10 * left) - x(left)) * 180 / M_PI;
    // Beside the slope, where it begins: those of other roofs begin elsewhere.
    const double at = from * std::pow(to / from, moves ? 0.16 : 0.07);
    text(x(at) + 2, y(at * roof.bytes_per_second) - 7,
         roof.name + " " + amount(roof.bytes_per_second, "B/s"), roof.colour, "start", 12, slope);
    if (moves) return;
    line(x(to), y(roof.flops_per_second), x(right), y(roof.flops_per_second), roof.colour, 2.4);
    text(kWidth - kRight - 6, y(roof.flops_per_second) - 7,
         roof.name + " " + amount(roof.flops_per_second, "FLOP/s"), roof.colour, "end", 12);
  }

  // Points with numbers, named in a list beside the picture, the highest first.
  void draw_dots() {
    std::sort(dots_.begin(), dots_.end(), [](const Dot& a, const Dot& b) {
      return std::tie(b.flops_per_second, a.name) < std::tie(a.flops_per_second, b.name);
    });
    double at = kTop + 14;
    const double column = kWidth - kRight + 22;
    text(column, at, "this model's stages", kInk, "start", 14);
    at += 26;
    int number = 1;
    for (const Dot& dot : dots_) {
      const double cx = x(dot.intensity), cy = y(dot.flops_per_second);
      for (const auto& [px, py] : {std::pair{cx, cy}, std::pair{column + 9, at - 4}}) {
        out_ += print(
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"9\" fill=\"%s\" stroke=\"#fdfcfa\" "
            "stroke-width=\"1.5\"/>\n",
            px, py, dot.colour);
        text(px, py + 4, std::to_string(number), "#ffffff", "middle", 11);
      }
      text(column + 26, at, dot.name, kInk, "start", 13);
      text(column + 26, at + 16,
           amount(dot.flops_per_second, "FLOP/s") + " at " + amount(dot.intensity, "FLOP/byte"),
           "#6b655e", "start", 12);
      at += 42;
      ++number;
    }
  }

  std::vector<Roof> roofs_;
  std::vector<Dot> dots_;
  double x0_ = 0, x1_ = 0, y0_ = 0, y1_ = 0;
  std::string out_;
};

std::vector<Roof> roofs_of(const Machine& machine) {
  std::vector<Roof> roofs;
  const auto add = [&](const char* name, const char* colour, Lane lane, bool computes) {
    const schedule::Rates& rates = machine.rates(lane);
    roofs.push_back({name, colour, rates.bytes_per_second, computes ? rates.flops_per_second : 0});
  };
  if (machine.has_device()) {
    add("device", kDevice, Lane::kDeviceCompute, true);
    add("link", kLink, Lane::kHostToDevice, false);
  }
  add("host", kHost, Lane::kHostCompute, true);
  if (machine.has_disk()) add("disk", kDisk, Lane::kDisk, false);
  // Products of weights may run in a type that is faster than the lane's own.
  for (Roof& roof : roofs) {
    if (roof.name != "host") continue;
    for (const auto& point : machine.costs.host_experts)
      roof.flops_per_second = std::max(roof.flops_per_second, point.per_second);
  }
  return roofs;
}

bool is_shown(std::string_view what) {
  for (const std::string_view shown : {"qkv", "attend", "o_proj", "expert_group", "shared", "head"})
    if (what == shown) return true;
  return false;
}

std::vector<Dot> dots_of(const Answer& answer) {
  std::vector<Dot> dots;
  double expert_flops = 0;
  for (const WorkTime& work : answer.estimate.pass.work) {
    if (!is_shown(work.what) || work.cost.flops <= 0 || work.seconds <= 0) continue;
    const bool device = work.lane == Lane::kDeviceCompute;
    if (std::string_view(work.what) == "expert_group") expert_flops += work.cost.flops;
    dots.push_back({std::string(work.what) + (device ? " on the device" : " on the host"),
                    device ? kDevice : kHost, work.cost.flops / work.cost.bytes(),
                    work.cost.flops / work.seconds});
  }
  for (const WorkTime& work : answer.estimate.pass.work) {
    if (std::string_view(work.what) != "weights" || expert_flops <= 0) continue;
    const bool disk = work.lane == Lane::kDisk;
    dots.push_back({disk ? "experts from disk" : "experts over the link", disk ? kDisk : kLink,
                    expert_flops / work.cost.bytes(), expert_flops / work.seconds});
  }
  return dots;
}

}  // namespace

std::string roofline_svg(const Question& question, const Answer& answer) {
  const plan::Policy& policy = answer.candidate.policy;
  const std::string title = question.model_name + " on " + answer.machine.name;
  const std::string below =
      print("%s: %s, batch %lld x %lld, %s tokens/s predicted, bound by %s",
            question.workload.name.c_str(), policy.schedule.c_str(),
            static_cast<long long>(policy.micro_batch),
            static_cast<long long>(answer.candidate.micro_batches()),
            base::format_count(std::llround(answer.tokens_per_second)).c_str(),
            schedule::name(answer.estimate.pass.bound));
  return Picture(roofs_of(answer.machine), dots_of(answer)).draw(title, below);
}

}  // namespace sluice::planner
