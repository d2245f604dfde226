// Measures the ops on the geometries of real models.
//
//   kernels_bench [--threads N] [--isa NAME] [--filter TEXT] [--round-ms N] [--rounds N]
//                 [--clock wall|cpu]
//
// On a busy machine, --threads 1 --clock cpu measures the thread's own time.
#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "kernels/cases.h"
#include "kernels/ops.h"
#include "roofline.h"

namespace sluice {
namespace {

using kernels::ExpertGroup;
using kernels::ModelCase;
using kernels::PackedMatrix;

void bench_linear(Bench& bench, const ModelCase& model) {
  kernels::Random random(1);
  const int64_t rows = int64_t{model.q_heads} * model.head_dim;
  const std::vector<float> x = random.normals(512 * model.hidden);
  std::vector<float> y(static_cast<size_t>(512 * rows));
  for (int64_t tokens : {1, 2, 4, 8, 12, 16, 32, 64, 128, 512}) {
    const std::string name =
        std::string(model.name) + " linear bf16 " + std::to_string(tokens) + " tokens";
    if (!bench.wants(name)) continue;
    const Work work{static_cast<double>(rows * model.hidden * 2),
                    2.0 * static_cast<double>(rows * model.hidden * tokens)};
    bench.run(name, work, [&](int64_t call) {
      kernels::linear(bench.exec(), bench.matrix(tensor::DType::kBF16, call, rows, model.hidden),
                      x.data(), model.hidden, tokens, y.data(), rows);
    });
  }
}

// Tokens of each expert: the same for all, or falling as 1 / rank.
std::vector<int64_t> loads(int64_t experts, int64_t per_expert, bool zipf) {
  std::vector<int64_t> tokens(static_cast<size_t>(experts), per_expert);
  if (!zipf) return tokens;
  double sum = 0.0;
  for (int64_t e = 1; e <= experts; ++e) sum += 1.0 / static_cast<double>(e);
  for (int64_t e = 0; e < experts; ++e) {
    const double share = 1.0 / static_cast<double>(e + 1) / sum;
    tokens[static_cast<size_t>(e)] =
        static_cast<int64_t>(share * static_cast<double>(experts * per_expert) + 0.5);
  }
  return tokens;
}

void bench_experts(Bench& bench, const ModelCase& model, int64_t per_expert, bool zipf) {
  const std::string name = std::string(model.name) + " experts bf16 " + std::to_string(per_expert) +
                           (zipf ? " tokens each, zipf" : " tokens each");
  if (!bench.wants(name)) return;
  const std::vector<int64_t> tokens = loads(model.experts, per_expert, zipf);
  std::vector<PackedMatrix> matrices;
  for (int64_t e = 0; e < model.experts; ++e) {
    matrices.push_back(bench.matrix(tensor::DType::kBF16, 3 * e, model.inter, model.hidden));
    matrices.push_back(bench.matrix(tensor::DType::kBF16, 3 * e + 1, model.inter, model.hidden));
    matrices.push_back(bench.matrix(tensor::DType::kBF16, 3 * e + 2, model.hidden, model.inter));
  }
  std::vector<ExpertGroup> groups;
  int64_t slots = 0;
  int64_t active = 0;
  for (size_t e = 0; e < tokens.size(); ++e) {
    groups.push_back(
        {&matrices[3 * e], &matrices[3 * e + 1], &matrices[3 * e + 2], slots, tokens[e]});
    slots += tokens[e];
    active += tokens[e] > 0;
  }
  kernels::Random random(2);
  const std::vector<float> x = random.normals(64 * model.hidden);
  std::vector<int32_t> token_of_slot;
  for (int64_t i = 0; i < slots; ++i)
    token_of_slot.push_back(static_cast<int32_t>(random.below(64)));
  std::vector<float> hidden(static_cast<size_t>(slots * model.inter));
  std::vector<float> out(static_cast<size_t>(slots * model.hidden));
  const double weights = 3.0 * static_cast<double>(model.inter * model.hidden);
  const Work work{2.0 * weights * static_cast<double>(active),
                  2.0 * weights * static_cast<double>(slots)};
  bench.run(name, work, [&](int64_t) {
    kernels::expert_gate_up(bench.exec(), groups, token_of_slot.data(), x.data(), model.hidden,
                            hidden.data(), model.inter);
    kernels::expert_down(bench.exec(), groups, hidden.data(), model.inter, out.data(),
                         model.hidden);
  });
}

// `sequences` of `context` keys, the last `rows` of them as queries.
void bench_attend(Bench& bench, const ModelCase& model, kernels::KvDType dtype, int64_t sequences,
                  int64_t context, int64_t rows) {
  const std::string name = std::string(model.name) + " attend " + kernels::name(dtype) + " " +
                           std::to_string(sequences) + " x " + std::to_string(rows) + " rows, " +
                           std::to_string(context) + " keys";
  if (!bench.wants(name)) return;
  kernels::AttendArgs args;
  args.cache.layout = {model.kv_heads, model.head_dim, model.head_dim, 32, dtype};
  args.cache.block_stride = args.cache.layout.block_bytes();
  args.cache.base = bench.arena();  // as f32, the bf16 patterns are about 0.01 too
  const int64_t blocks = (context + 31) / 32;
  const int64_t held = kArenaBytes / args.cache.block_stride;
  std::vector<int32_t> table;
  std::vector<kernels::AttendSequence> list;
  for (int64_t i = 0; i < sequences * blocks; ++i) table.push_back(static_cast<int32_t>(i % held));
  // As a cache is after a while: its blocks lie anywhere.
  std::shuffle(table.begin(), table.end(), std::mt19937_64(1));
  for (int64_t s = 0; s < sequences; ++s)
    list.push_back({table.data() + s * blocks, s * rows, rows, context - rows});
  args.sequences = list;
  kernels::Random random(3);
  args.ld_q = args.ld_out = int64_t{model.q_heads} * model.head_dim;
  const std::vector<float> q = random.normals(sequences * rows * args.ld_q);
  std::vector<float> out(q.size());
  std::vector<float> scratch(static_cast<size_t>(
      kernels::attend_scratch_floats(sequences * rows, model.q_heads, model.head_dim, context)));
  args.q = q.data();
  args.out = out.data();
  args.q_heads = model.q_heads;
  args.scale = 0.088f;
  args.scratch = scratch.empty() ? nullptr : scratch.data();
  const double seen = static_cast<double>(rows) *
                      (static_cast<double>(context) - (static_cast<double>(rows) - 1.0) / 2.0);
  const Work work{static_cast<double>(sequences * context * args.cache.layout.bytes_per_token()),
                  4.0 * static_cast<double>(sequences * model.q_heads * model.head_dim) * seen};
  bench.run(name, work, [&](int64_t) { kernels::attend(bench.exec(), args); });
}

bool parse(int argc, char** argv, Options* options) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (!options->parse(argv[i], argv[i + 1])) return false;
  return argc % 2 == 1 && options->valid();
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  using namespace sluice;
  Options options;
  if (!parse(argc, argv, &options)) {
    std::fprintf(stderr, "usage: kernels_bench %s\n", Options::usage().c_str());
    return 2;
  }
  Bench bench(options);
  if (!bench.measure_peaks()) return 1;
  for (const ModelCase& model : kernels::kModels) bench_linear(bench, model);
  for (const ModelCase& model : kernels::kModels) {
    for (int64_t per_expert : {1, 2, 4, 8, 16, 64}) {
      bench_experts(bench, model, per_expert, false);
      bench_experts(bench, model, per_expert, true);
    }
  }
  for (const ModelCase& model : kernels::kModels) {
    for (kernels::KvDType dtype : kernels::all_kv_dtypes()) {
      bench_attend(bench, model, dtype, 1, 4096, 1);
      bench_attend(bench, model, dtype, 32, 1024, 1);
      bench_attend(bench, model, dtype, 1, 512, 512);
      bench_attend(bench, model, dtype, 1, 4096, 256);
    }
  }
  return 0;
}
