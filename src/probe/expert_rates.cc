#include "probe/expert_rates.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/random.h"
#include "base/rounding.h"
#include "kernels/ops.h"
#include "kernels/quantized_rows.h"
#include "probe/memory_array.h"
#include "probe/probe.h"
#include "tensor/quantize.h"

namespace sluice::probe {
namespace {

using kernels::PackedMatrix;

constexpr int64_t kSlotsAtOnce = 2048;  // of all experts of a round
// Over all formats and numbers of tokens, so that a disturbed minute meets a third of each rate.
constexpr int kPasses = 3;

// Values between -1 and 1 that repeat after a prime: no denormals, no two rows alike.
float value_at(int64_t i) { return static_cast<float>(i * 7919 % 10007) / 5003.5f - 1.0f; }

// Every panel of the matrix is the same 16 rows: what is in them costs a kernel nothing.
PackedMatrix fill_matrix(tensor::DType dtype, int64_t rows, int64_t cols, std::byte* data,
                         base::ThreadTeam& team) {
  const int64_t row_bytes = tensor::storage_bytes(dtype, cols);
  std::vector<std::byte> stored(static_cast<size_t>(kernels::kPanelRows * row_bytes));
  std::vector<float> values(static_cast<size_t>(cols));
  const std::byte* of_rows[kernels::kPanelRows];
  for (int64_t row = 0; row < kernels::kPanelRows; ++row) {
    for (int64_t k = 0; k < cols; ++k) values[static_cast<size_t>(k)] = value_at(row * cols + k);
    std::byte* to = stored.data() + row * row_bytes;
    const bool held = tensor::quantize(dtype, values.data(), cols, to);
    SLUICE_CHECK(held, "small values fit every format");
    of_rows[row] = to;
  }
  const int64_t panel = kernels::panel_bytes(dtype, cols);
  std::vector<std::byte> packed(static_cast<size_t>(panel));
  kernels::pack_panel(dtype, cols, of_rows, packed.data());
  const PackedMatrix matrix{.dtype = dtype, .rows = rows, .cols = cols, .data = data};
  team.parallel_for(matrix.panels(), [&](int64_t i) {
    std::memcpy(data + i * panel, packed.data(), packed.size());
  });
  return matrix;
}

// All experts of one format, in memory of its own.
class Experts {
 public:
  static Result<Experts> create(const kernels::Exec& exec, const ExpertRateOptions& options,
                                tensor::DType dtype) {
    const int64_t gate = kernels::packed_bytes(dtype, options.inter, options.hidden);
    const int64_t down = kernels::packed_bytes(dtype, options.hidden, options.inter);
    const int64_t count = std::max<int64_t>(options.weight_bytes / (2 * gate + down), 4);
    const int64_t chunks = base::div_up(count * (2 * gate + down), MemoryArray::kChunkBytes);
    SLUICE_ASSIGN(MemoryArray memory, MemoryArray::create(chunks));
    Experts experts(std::move(memory), static_cast<double>(2 * gate + down));
    auto* at = reinterpret_cast<std::byte*>(experts.memory_.chunk(0));
    for (int64_t i = 0; i < 3 * count; ++i) {
      const bool is_down = i % 3 == 2;
      experts.matrices_.push_back(fill_matrix(dtype, is_down ? options.hidden : options.inter,
                                              is_down ? options.inter : options.hidden, at,
                                              *exec.team));
      at += is_down ? down : gate;
    }
    return experts;
  }
  int64_t count() const { return static_cast<int64_t>(matrices_.size() / 3); }
  const PackedMatrix* of(int64_t expert) const {
    return &matrices_[static_cast<size_t>(3 * expert)];
  }
  double bytes_each() const { return bytes_each_; }

 private:
  Experts(MemoryArray memory, double bytes_each)
      : memory_(std::move(memory)), bytes_each_(bytes_each) {}
  MemoryArray memory_;
  double bytes_each_;
  std::vector<PackedMatrix> matrices_;
};

// How many tokens each of so many experts gets where a router that knows no favourites gives those
// that it hits `mean` each: Poisson's law without its zero, at even steps of probability, in an
// order without a pattern. Kernels like whole tiles; routers do not know them.
std::vector<int64_t> spread(int64_t experts, int64_t mean) {
  const auto wanted = static_cast<double>(mean);
  double rate = wanted;
  // rate / (1 - e^-rate) is the mean of those that are hit.
  for (int i = 0; i < 50; ++i) rate = wanted * -std::expm1(-rate);
  std::vector<std::pair<uint64_t, int64_t>> drawn;
  for (int64_t i = 0; i < experts; ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(experts);
    int64_t tokens = 1;
    if (mean > 1) {
      double chance = rate * std::exp(-rate) / -std::expm1(-rate), sum = chance;
      for (; sum < share && tokens < 4 * mean; sum += chance)
        chance *= rate / static_cast<double>(++tokens);
    }
    drawn.emplace_back(base::mix_bits(static_cast<uint64_t>(i)), tokens);
  }
  std::ranges::sort(drawn);
  std::vector<int64_t> tokens;
  for (const auto& [order, count] : drawn) tokens.push_back(count);
  // Steps of probability leave the tail out.
  int64_t left = mean * experts - std::accumulate(tokens.begin(), tokens.end(), int64_t{0});
  for (size_t i = 0; left != 0; i = (i + 1) % tokens.size()) {
    const int64_t more = left > 0 ? 1 : tokens[i] > 1 ? -1 : 0;
    tokens[i] += more;
    left -= more;
  }
  return tokens;
}

// What so many experts with their tokens need beside their weights.
struct Tokens {
  Tokens(const ExpertRateOptions& options, const std::vector<int64_t>& of_expert) {
    for (const int64_t tokens : of_expert) slots += tokens;
    // Each token is a row of a batch that chooses several experts, and lies anywhere in it.
    const int64_t most = *std::ranges::max_element(of_expert);
    rows = std::max(slots / kChoices, most);
    x.resize(static_cast<size_t>(rows * options.hidden));
    for (size_t i = 0; i < x.size(); ++i) x[i] = value_at(static_cast<int64_t>(i));
    for (size_t expert = 0; expert < of_expert.size(); ++expert) {
      const auto start = static_cast<int64_t>(base::mix_bits(expert) % static_cast<uint64_t>(rows));
      for (int64_t i = 0; i < of_expert[expert]; ++i)
        token_of_slot.push_back(
            static_cast<int32_t>((start + i * rows / of_expert[expert]) % rows));
    }
    inner.resize(static_cast<size_t>(slots * options.inter));
    out.resize(static_cast<size_t>(slots * options.hidden));
    const auto coded = [](int64_t count, int64_t width) {
      return static_cast<size_t>(count * kernels::QuantizedRows::row_bytes(width)) + 64;
    };
    coded_x.resize(coded(rows, options.hidden));
    coded_inner.resize(coded(slots, options.inter));
  }
  static std::byte* aligned(std::vector<std::byte>& bytes) {
    const auto at = reinterpret_cast<uintptr_t>(bytes.data());
    return bytes.data() + (64 - at % 64) % 64;
  }
  static constexpr int64_t kChoices = 8;  // of a token: as most models of today have it
  int64_t slots = 0, rows = 0;
  std::vector<float> x, inner, out;
  std::vector<std::byte> coded_x, coded_inner;
  std::vector<int32_t> token_of_slot;
};

// Fewer experts for many tokens, so that a round stays short.
int64_t experts_at_once(const Experts& experts, int64_t tokens) {
  return std::clamp<int64_t>(kSlotsAtOnce / tokens, 1, experts.count());
}

// Appends the seconds of rounds, for a pass's share of the time.
void measure(const kernels::Exec& exec, const ExpertRateOptions& options, const Experts& experts,
             tensor::DType dtype, int64_t tokens, std::vector<double>& rounds) {
  const std::vector<int64_t> of_expert = spread(experts_at_once(experts, tokens), tokens);
  Tokens data(options, of_expert);
  const int64_t hidden = options.hidden, inter = options.inter, slots = data.slots;
  const kernels::QuantizedRows coded_x{Tokens::aligned(data.coded_x), hidden};
  const kernels::QuantizedRows coded_inner{Tokens::aligned(data.coded_inner), inter};
  const bool blocks = tensor::is_block_format(dtype);
  std::vector<kernels::ExpertGroup> groups(of_expert.size());
  double spent = 0.0;
  int64_t next = 0;  // the experts take turns, so that no cache holds those that come
  do {
    int64_t first = 0;
    for (size_t i = 0; i < groups.size(); ++i, next = (next + 1) % experts.count()) {
      const PackedMatrix* three = experts.of(next);
      groups[i] = {three, three + 1, three + 2, first, of_expert[i]};
      first += of_expert[i];
    }
    const double start = wall_seconds();
    if (blocks) kernels::quantize_rows(exec, data.x.data(), hidden, data.rows, hidden, coded_x);
    kernels::expert_gate_up(exec, groups, data.token_of_slot.data(), data.x.data(), hidden,
                            data.inner.data(), inter, &coded_x);
    if (blocks) kernels::quantize_rows(exec, data.inner.data(), inter, slots, inter, coded_inner);
    kernels::expert_down(exec, groups, data.inner.data(), inter, data.out.data(), hidden,
                         &coded_inner);
    const double seconds = wall_seconds() - start;
    rounds.push_back(seconds);
    spent += seconds;
  } while (spent * 1000.0 * kPasses < options.time_ms);
}

hardware::KernelRate rate_of(const ExpertRateOptions& options, const Experts& experts,
                             tensor::DType dtype, int64_t tokens, std::vector<double>& rounds) {
  const double usual = median(rounds);
  const auto at_once = static_cast<double>(experts_at_once(experts, tokens));
  const double flops = 6.0 * static_cast<double>(options.hidden * options.inter * tokens);
  return {tensor::info(dtype).name, tokens, at_once * flops / usual,
          at_once * experts.bytes_each() / usual};
}

}  // namespace

ExpertRateOptions usual_expert_rates() {
  using tensor::DType;
  return {.formats = {DType::kF32, DType::kBF16, DType::kBF16Dot, DType::kQ8_0, DType::kQ4_0,
                      DType::kQ4_K, DType::kMXFP4},
          .tokens = {1, 2, 4, 8, 16, 32, 64, 128, 256}};
}

void narrow_to_fit(ExpertRateOptions& options) {
  constexpr int64_t kNarrowest = 256;  // a block of the formats with the longest ones
  const auto bytes = [&] {
    return 4 * 3 * options.hidden * options.inter * int64_t{sizeof(float)};
  };
  while (bytes() > options.weight_bytes && options.inter > kNarrowest) {
    options.hidden /= 2;
    options.inter /= 2;
  }
}

Result<std::vector<hardware::KernelRate>> measure_expert_rates(
    const kernels::Exec& exec, const ExpertRateOptions& options,
    const std::function<void(int64_t done)>& each) {
  // Of a format and a number of tokens: the seconds of its rounds.
  std::vector<std::vector<double>> rounds(options.formats.size() * options.tokens.size());
  std::vector<hardware::KernelRate> rates;
  for (int pass = 0; pass < kPasses; ++pass) {
    auto of_rate = rounds.begin();
    for (const tensor::DType dtype : options.formats) {
      SLUICE_ASSIGN(const Experts experts, Experts::create(exec, options, dtype));
      for (const int64_t tokens : options.tokens) {
        measure(exec, options, experts, dtype, tokens, *of_rate);
        if (pass == kPasses - 1)
          rates.push_back(rate_of(options, experts, dtype, tokens, *of_rate));
        ++of_rate;
      }
      if (each) each((pass * std::ssize(rounds) + (of_rate - rounds.begin())) / kPasses);
    }
  }
  std::ranges::sort(rates, {}, [](const hardware::KernelRate& rate) {
    return std::tuple(rate.format, rate.tokens_per_expert);
  });
  return rates;
}

}  // namespace sluice::probe
