#include "schedule/host_costs.h"

#include <algorithm>
#include <array>

#include "schedule/format_count.h"

namespace sluice::schedule {

using hardware::LevelKind;
using tensor::DType;

namespace {

constexpr int kMostCurveTokens = 1 << 14;
// A layer's seven stages start about twenty kernels.
constexpr double kKernelsOfAStage = 3;

// What the host's products with weights of a format reach, by tokens.
Result<Curve> curve_of(const hardware::Hardware& hardware, const hardware::Level& host,
                       DType format) {
  const tensor::DTypeInfo& info = tensor::info(format);
  Curve curve;
  if (host.compute) {
    for (const hardware::KernelRate& rate : host.compute->kernel_rates) {
      if (rate.format == info.name)
        curve.push_back({static_cast<double>(rate.tokens_per_expert), rate.flops_per_second});
    }
  }
  if (!curve.empty()) return curve;
  SLUICE_ASSIGN(const double peak, arithmetic(hardware, host, arithmetic_of(format)));
  const double weight_bytes = static_cast<double>(info.block_bytes) / info.block_elements;
  for (int tokens = 1; tokens <= kMostCurveTokens; tokens *= 2) {
    const double by_memory = 2 * tokens * host.read_bytes_per_second / weight_bytes;
    curve.push_back({static_cast<double>(tokens), std::min(peak, by_memory)});
  }
  return curve;
}

void add(FormatCount& count, const kernels::PackedMatrix& matrix) {
  count.add(matrix.dtype, static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols));
}

void add(FormatCount& count, const models::FfnWeights& ffn) {
  for (const kernels::PackedMatrix* matrix : {&ffn.gate, &ffn.up, &ffn.down}) add(count, *matrix);
}

}  // namespace

Formats formats_of(const models::ModelWeights& weights, kernels::KvDType kv) {
  FormatCount dense, expert;
  add(dense, weights.head);
  for (const models::LayerWeights& layer : weights.layers) {
    for (const kernels::PackedMatrix* matrix : {&layer.q, &layer.k, &layer.v, &layer.o})
      add(dense, *matrix);
    add(dense, layer.dense);
    for (const models::FfnWeights& ffn : layer.experts) add(expert, ffn);
  }
  Formats formats{.kv = kv};
  formats.dense = dense.most(formats.dense);
  formats.expert = expert.most(formats.dense);
  return formats;
}

const char* arithmetic_of(DType format) {
  if (tensor::is_block_format(format)) return "int8";
  return format == DType::kBF16Dot ? "bf16" : "f32";
}

Error missing(const hardware::Hardware& hardware, const std::string& what) {
  return {ErrorCode::kInvalid, "the hardware '" + hardware.name + "' states no " + what +
                                   ", which a plan needs; 'sluice probe' measures it, or add it to "
                                   "the file"};
}

Result<double> arithmetic(const hardware::Hardware& hardware, const hardware::Level& level,
                          const std::string& dtype) {
  if (!level.compute) return missing(hardware, "arithmetic of '" + level.name + "'");
  const auto& peaks = level.compute->peak_flops;
  static const std::array<std::string, 5> kNearest = {"bf16", "f16", "f32", "int8", "fp8"};
  if (const auto found = peaks.find(dtype); found != peaks.end()) return found->second;
  for (const std::string& other : kNearest)
    if (const auto found = peaks.find(other); found != peaks.end()) return found->second;
  return missing(hardware, "arithmetic of '" + level.name + "'");
}

Result<CostModel> host_costs(const hardware::Hardware& hardware, const Formats& formats) {
  const hardware::Level* host = hardware.find(LevelKind::kHost);
  if (host == nullptr) return missing(hardware, "host memory");
  CostModel costs;
  SLUICE_ASSIGN(const double flops, arithmetic(hardware, *host, "f32"));
  SLUICE_ASSIGN(costs.host_experts, curve_of(hardware, *host, formats.expert));
  SLUICE_ASSIGN(costs.host_dense, curve_of(hardware, *host, formats.dense));
  for (const hardware::AttendRate& rate : host->compute->attend_rates) {
    if (rate.format != kernels::name(formats.kv)) continue;
    costs.host_attend.push_back({static_cast<double>(rate.queries_per_key), rate.flops_per_second});
  }
  for (const hardware::StoreRate& rate : host->compute->store_rates) {
    if (rate.format == kernels::name(formats.kv))
      costs.host_store.push_back({static_cast<double>(rate.rows), rate.bytes_per_second});
  }
  costs.rates[static_cast<size_t>(Lane::kHostCompute)] = {
      .flops_per_second = flops,
      .bytes_per_second = host->read_bytes_per_second,
      .latency_s = 1e-6 * kKernelsOfAStage * host->compute->launch_us.value_or(0)};
  if (const hardware::Level* disk = hardware.find(LevelKind::kDisk))
    costs.rates[static_cast<size_t>(Lane::kDisk)].bytes_per_second = disk->read_bytes_per_second;
  return costs;
}

}  // namespace sluice::schedule
