// A layer's experts from one token each to hundreds, format by format: what was reached beside what
// the machine allows, which is memory for few tokens and arithmetic for many.
//
//   expert_curve [--formats q4_0,q8_0,...] [--tokens 1,2,...] [--tiles only] [kernels_bench's
//   options]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/gemm_tiles.h"
#include "kernels/ops.h"
#include "roofline.h"

namespace sluice {
namespace {

constexpr kernels::ModelCase kModel = kernels::kModels[0];

struct Curve {
  std::vector<tensor::DType> formats = {tensor::DType::kQ4_0,  tensor::DType::kQ4_K,
                                        tensor::DType::kQ6_K,  tensor::DType::kQ8_0,
                                        tensor::DType::kMXFP4, tensor::DType::kBF16};
  bool tiles = false;  // print how they are tiled, measure nothing
  std::vector<int64_t> tokens = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512};
};

void bench_experts(Bench& bench, tensor::DType dtype, int64_t per_expert) {
  // Fewer experts for many tokens, so that a round stays short; still beyond the caches.
  const int64_t experts = std::clamp<int64_t>(1024 / per_expert, 4, kModel.experts);
  const int64_t hidden = kModel.hidden, inter = kModel.inter, slots = experts * per_expert;
  std::vector<kernels::PackedMatrix> matrices;
  for (int64_t e = 0; e < experts; ++e) {
    matrices.push_back(bench.matrix(dtype, 3 * e, inter, hidden));
    matrices.push_back(bench.matrix(dtype, 3 * e + 1, inter, hidden));
    matrices.push_back(bench.matrix(dtype, 3 * e + 2, hidden, inter));
  }
  std::vector<kernels::ExpertGroup> groups;
  std::vector<int32_t> token_of_slot;
  double bytes = 0;
  for (int64_t e = 0; e < experts; ++e) {
    const auto first = static_cast<size_t>(3 * e);
    groups.push_back(
        {&matrices[first], &matrices[first + 1], &matrices[first + 2], e * per_expert, per_expert});
    for (int64_t t = 0; t < per_expert; ++t) token_of_slot.push_back(static_cast<int32_t>(t));
    for (size_t i = first; i < first + 3; ++i)
      bytes +=
          static_cast<double>(kernels::packed_bytes(dtype, matrices[i].rows, matrices[i].cols));
  }
  kernels::Random random(1);
  const std::vector<float> x = random.normals(per_expert * hidden);
  std::vector<float> h(static_cast<size_t>(slots * inter));
  std::vector<float> out(static_cast<size_t>(slots * hidden));
  kernels::AlignedBytes coded_x(per_expert * kernels::QuantizedRows::row_bytes(hidden));
  kernels::AlignedBytes coded_h(slots * kernels::QuantizedRows::row_bytes(inter));
  const kernels::QuantizedRows rows_x{coded_x.data(), hidden}, rows_h{coded_h.data(), inter};
  const bool blocks = tensor::is_block_format(dtype);
  const Work work{bytes, 6.0 * static_cast<double>(inter * hidden * slots), dtype};
  bench.run(std::string(tensor::info(dtype).name) + ", " + std::to_string(per_expert) +
                " tokens per expert",
            work, [&](int64_t) {
              if (blocks)
                kernels::quantize_rows(bench.exec(), x.data(), hidden, per_expert, hidden, rows_x);
              kernels::expert_gate_up(bench.exec(), groups, token_of_slot.data(), x.data(), hidden,
                                      h.data(), inter, &rows_x);
              if (blocks)
                kernels::quantize_rows(bench.exec(), h.data(), inter, slots, inter, rows_h);
              kernels::expert_down(bench.exec(), groups, h.data(), inter, out.data(), hidden,
                                   &rows_h);
            });
}

void print_tiles(const Options& options, const Curve& curve) {
  for (tensor::DType dtype : curve.formats) {
    if (!tensor::is_block_format(dtype)) continue;
    for (int64_t tokens : curve.tokens) {
      std::printf("%s, %lld tokens: %s\n", tensor::info(dtype).name, static_cast<long long>(tokens),
                  kernels::block_tiling(kernels::op_table(options.isa), dtype,
                                        std::min(tokens, kernels::kMaxItemTokens))
                      .c_str());
    }
  }
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

bool parse(int argc, char** argv, Options* options, Curve* curve) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--formats") {
      curve->formats.clear();
      for (const std::string& name : split(value)) {
        const auto dtype = tensor::parse_dtype(name);
        if (!dtype) return false;
        curve->formats.push_back(*dtype);
      }
    } else if (flag == "--tokens") {
      curve->tokens.clear();
      for (const std::string& number : split(value))
        curve->tokens.push_back(std::clamp(std::atoi(number.c_str()), 1, 4096));
    } else if (flag == "--tiles") {
      curve->tiles = value == "only";
    } else if (!options->parse(flag, value)) {
      return false;
    }
  }
  return argc % 2 == 1 && options->valid();
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  using namespace sluice;
  Options options;
  Curve curve;
  if (!parse(argc, argv, &options, &curve)) {
    std::fprintf(stderr,
                 "usage: expert_curve [--formats q4_0,...] [--tokens 1,2,...] [--tiles only] %s\n",
                 Options::usage().c_str());
    return 2;
  }
  if (curve.tiles) {
    print_tiles(options, curve);
    return 0;
  }
  Bench bench(options);
  if (!bench.measure_peaks()) return 1;
  for (tensor::DType dtype : curve.formats)
    for (int64_t tokens : curve.tokens) bench_experts(bench, dtype, tokens);
  return 0;
}
