#include "bench/make_model/model_writer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <system_error>
#include <utility>

#include "base/units.h"
#include "bench/make_model/random_normal.h"
#include "bench/make_model/router_skew.h"
#include "models/family.h"
#include "tensor/float.h"
#include "weights/safetensors_writer.h"

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;
using models::Slot;
using models::TensorSlot;
using tensor::DType;

constexpr size_t kChunkElements = size_t{1} << 20;

// One element as the file stores it.
uint16_t narrow(float value, DType dtype) {
  return dtype == DType::kF16 ? tensor::f32_to_f16(value) : tensor::f32_to_bf16(value);
}

// What a tensor is filled with.
struct Fill {
  double mean = 0;
  double deviation = 0;
  double common = 0;  // times common_sign() of the column
};

Fill fill_of(const TensorSlot& slot, const ModelRecipe& recipe, int layers) {
  const double fan_in = slot.shape.rank == 2 ? static_cast<double>(slot.shape[1]) : 1;
  const double residual = std::sqrt(8.0 * layers);
  switch (slot.slot) {
    case Slot::kEmbedding:
      return {0, 1, recipe.zipf_alpha > 0 ? 1.0 : 0.0};
    case Slot::kFinalNorm:
    case Slot::kAttentionNorm:
    case Slot::kQNorm:
    case Slot::kKNorm:
    case Slot::kFfnNorm:
      return {1, 0, 0};
    case Slot::kQBias:
    case Slot::kKBias:
    case Slot::kVBias:
    case Slot::kOBias:
    case Slot::kGateBias:
    case Slot::kUpBias:
    case Slot::kDownBias:
      return {0, 0, 0};
    case Slot::kO:
    case Slot::kDown:
      return {0, 1 / std::sqrt(fan_in) / residual, 0};
    case Slot::kHead:
    case Slot::kQ:
    case Slot::kK:
    case Slot::kV:
    case Slot::kRouter:
    case Slot::kGate:
    case Slot::kUp:
      return {0, 1 / std::sqrt(fan_in), 0};
  }
  return {};
}

// Streams tensors into the shard that is open, and tells of the progress.
class Filler {
 public:
  Filler(const ModelRecipe& recipe, const std::function<void(int64_t, int64_t)>& progress,
         int64_t total_bytes)
      : recipe_(recipe), progress_(progress), total_bytes_(total_bytes) {}

  Status fill(const TensorSlot& slot, const Fill& with, weights::SafetensorsWriter& writer) {
    if (recipe_.dtype == DType::kF32) return fill_as<float>(slot, with, writer);
    return fill_as<uint16_t>(slot, with, writer);
  }

  // Rows that were computed already.
  Status write(const std::vector<float>& values, weights::SafetensorsWriter& writer) {
    if (recipe_.dtype == DType::kF32) return append(std::as_bytes(std::span(values)), writer);
    std::vector<uint16_t> narrowed(values.size());
    for (size_t i = 0; i < values.size(); ++i) narrowed[i] = narrow(values[i], recipe_.dtype);
    return append(std::as_bytes(std::span(narrowed)), writer);
  }

 private:
  template <class T>
  T stored(double value) const {
    if constexpr (std::is_same_v<T, float>) {
      return static_cast<float>(value);
    } else {
      return narrow(static_cast<float>(value), recipe_.dtype);
    }
  }

  // The levels of normal_levels(), scaled, shifted and stored.
  template <class T>
  std::array<T, kNormalLevels> levels(double mean, double deviation) const {
    std::array<T, kNormalLevels> out;
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = stored<T>(mean + deviation * static_cast<double>(normal_levels()[i]));
    return out;
  }

  template <class T>
  Status fill_as(const TensorSlot& slot, const Fill& with, weights::SafetensorsWriter& writer) {
    const auto plus = levels<T>(with.mean + with.common, with.deviation);
    const auto minus = levels<T>(with.mean - with.common, with.deviation);
    RandomBits bits(recipe_.seed, slot.name);
    std::vector<T> chunk;
    const auto columns = static_cast<size_t>(slot.shape[slot.shape.rank - 1]);
    const auto elements = static_cast<size_t>(slot.shape.elements());
    // Signs repeat with every row, so chunks of whole rows see each column at the same place.
    const size_t step = std::max(columns, kChunkElements / columns * columns);
    std::vector<float> signs(with.common != 0 ? columns : 0);
    for (size_t i = 0; i < signs.size(); ++i)
      signs[i] = common_sign(recipe_.seed, static_cast<int64_t>(i));
    for (size_t at = 0; at < elements; at += step) {
      chunk.resize(std::min(step, elements - at));
      if (signs.empty()) {
        fill_from_levels(std::span(chunk), plus, bits);
      } else {
        for (size_t i = 0; i < chunk.size(); ++i)
          chunk[i] = (signs[i % columns] > 0 ? plus : minus)[bits() & (kNormalLevels - 1)];
      }
      SLUICE_TRY(append(std::as_bytes(std::span(chunk)), writer));
    }
    return {};
  }

  Status append(std::span<const std::byte> bytes, weights::SafetensorsWriter& writer) {
    SLUICE_TRY(writer.append(bytes));
    done_bytes_ += static_cast<int64_t>(bytes.size());
    if (progress_) progress_(done_bytes_, total_bytes_);
    return {};
  }

  const ModelRecipe& recipe_;
  const std::function<void(int64_t, int64_t)>& progress_;
  int64_t total_bytes_;
  int64_t done_bytes_ = 0;
};

Status make_room(const fs::path& directory, int64_t bytes) {
  std::error_code failure;
  fs::create_directories(directory, failure);
  if (failure)
    return Error{ErrorCode::kIo, directory.string() + ": cannot be made: " + failure.message()};
  if (!fs::is_empty(directory, failure) || failure)
    return Error{ErrorCode::kInvalid, directory.string() + ": is not an empty directory"};
  const fs::space_info space = fs::space(directory, failure);
  if (failure) return Error{ErrorCode::kIo, directory.string() + ": " + failure.message()};
  const auto free_bytes = static_cast<int64_t>(std::min<uintmax_t>(space.available, INT64_MAX));
  if (free_bytes < bytes + kSpareDiskBytes)
    return Error{ErrorCode::kNoRoom, directory.string() + ": the model takes " +
                                         base::format_bytes(static_cast<double>(bytes)) +
                                         ", but the disk has " +
                                         base::format_bytes(static_cast<double>(free_bytes)) +
                                         " left; cut layers with --layers"};
  return {};
}

Status write_config(const fs::path& path, const Json& config) {
  std::ofstream file(path, std::ios::binary);
  file << config.dump(2) << '\n';
  if (!file.flush()) return Error{ErrorCode::kIo, path.string() + ": cannot be written"};
  return {};
}

}  // namespace

Result<int64_t> write_random_model(const fs::path& directory, const ModelRecipe& recipe,
                                   const std::function<void(int64_t, int64_t)>& progress) {
  const char* const torch_dtype = recipe.dtype == DType::kF32   ? "float32"
                                  : recipe.dtype == DType::kF16 ? "float16"
                                                                : "bfloat16";
  SLUICE_ASSIGN(const Json json, geometry_config(recipe.geometry, recipe.cut, torch_dtype));
  SLUICE_ASSIGN(const models::Family* family, models::find_family(json));
  SLUICE_ASSIGN(const models::ModelConfig config, family->read(json));
  if (recipe.zipf_alpha > 0 && config.max_experts() == 0)
    return Error{ErrorCode::kInvalid, "--router: " + recipe.geometry + " has no experts"};

  std::map<std::string, TensorSlot> slots;
  std::vector<weights::TensorDecl> tensors;
  int64_t total_bytes = 0;
  for (TensorSlot& slot : models::tensor_table(config, family->names())) {
    const auto dims = std::span(slot.shape.dims).first(static_cast<size_t>(slot.shape.rank));
    tensors.push_back({slot.name, recipe.dtype, {dims.begin(), dims.end()}});
    total_bytes += tensors.back().bytes();
    slots.emplace(slot.name, std::move(slot));
  }
  SLUICE_TRY(make_room(directory, total_bytes));

  const auto shards = weights::plan_shards(std::move(tensors), recipe.max_shard_bytes);
  // Layers of one kind share their offsets.
  std::map<std::pair<int, int>, std::vector<double>> offsets;
  Filler filler(recipe, progress, total_bytes);
  for (const weights::ShardDecl& shard : shards) {
    SLUICE_ASSIGN(weights::SafetensorsWriter writer,
                  weights::SafetensorsWriter::create(directory / shard.file_name, shard.tensors,
                                                     {{"format", "pt"}}));
    for (const weights::TensorDecl& tensor : shard.tensors) {
      const TensorSlot& slot = slots.at(tensor.name);
      if (slot.slot != Slot::kRouter) {
        SLUICE_TRY(filler.fill(slot, fill_of(slot, recipe, config.layer_count()), writer));
        continue;
      }
      const models::FfnConfig& ffn = config.layers[static_cast<size_t>(slot.layer)].ffn;
      std::vector<double>& shared = offsets[{ffn.experts, ffn.top_k}];
      if (shared.empty()) {
        shared = recipe.zipf_alpha > 0
                     ? offsets_for(zipf_inclusion(ffn.experts, ffn.top_k, recipe.zipf_alpha),
                                   ffn.top_k, recipe.seed)
                     : std::vector<double>(static_cast<size_t>(ffn.experts), 0.0);
      }
      SLUICE_TRY(filler.write(
          router_rows(ffn.experts, config.hidden, shared, recipe.seed, slot.name).rows, writer));
    }
    SLUICE_TRY(writer.finish());
  }
  SLUICE_TRY(weights::write_index(directory, shards));
  // Last: a directory without it is plainly unfinished.
  SLUICE_TRY(write_config(directory / "config.json", json));
  return total_bytes;
}

}  // namespace sluice::bench
