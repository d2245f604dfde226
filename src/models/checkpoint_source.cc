// A checkpoint as a source of weights: every tensor is packed when it is asked for.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/rounding.h"
#include "models/checkpoint_load.h"
#include "models/checkpoint_tensors.h"
#include "models/embedding_source.h"
#include "models/load_tensor.h"
#include "models/read_ahead.h"
#include "models/weight_source.h"

namespace sluice::models {
namespace {

// What an entry of the table is in the checkpoint.
struct Part {
  const weights::TensorEntry* entry = nullptr;
  tensor::TensorView view;  // the rows of a stored tensor that the entry of the table stands for
  int64_t offset = 0;       // in the file of `entry`
};

class CheckpointSource final : public WeightSource {
 public:
  CheckpointSource(const weights::Checkpoint& checkpoint, std::vector<TensorSlot> table)
      : checkpoint_(checkpoint), table_(std::move(table)) {}

  Status open(const ModelConfig& config, const Quantization& quantization);

  const std::vector<TensorSlot>& table() const override { return table_; }
  tensor::DType dtype(size_t tensor) const override { return dtypes_[tensor]; }
  tensor::DType stored() const override { return stored_; }
  Status read(size_t tensor, std::byte* into, base::ThreadTeam& team) override;
  int64_t room(size_t tensor) const override;
  Status load(std::span<const Wanted> wanted, base::ThreadTeam& team,
              const LoadOptions& options) override;
  Status check_pages() const override;
  ExpertPage page(int layer) const override;
  Status read_page(int layer, int expert, std::byte* into, base::ThreadTeam* team) override;
  void prefetch_page(int layer, int expert) const override {
    for (const size_t tensor : parts_of(layer, expert)) prefetch(tensor);
  }
  std::optional<PageAt> page_at(int, int) const override { return std::nullopt; }
  std::span<const std::filesystem::path> files() const override { return {}; }
  uint32_t page_checksum(int, int) const override {
    base::check_failed("page_at()", "pages of a checkpoint lie nowhere", __FILE__, __LINE__);
  }
  Result<std::unique_ptr<EmbeddingSource>> embedding(base::ThreadTeam&) const override {
    const size_t at = embedding_slot(table_);
    return checkpoint_embedding(file_of(at), parts_[at].offset, parts_[at].view, table_[at],
                                dtypes_[at]);
  }

 private:
  Status pack(size_t tensor, std::byte* into, base::ThreadTeam* team) const;
  const weights::MappedFile& file_of(size_t tensor) const {
    return checkpoint_.files()[static_cast<size_t>(parts_[tensor].entry->file)];
  }
  void prefetch(size_t tensor) const {
    file_of(tensor).prefetch(parts_[tensor].offset, parts_[tensor].view.bytes());
  }
  void drop(size_t tensor) const {
    file_of(tensor).drop(parts_[tensor].offset, parts_[tensor].view.bytes());
  }
  // Gate, up and down of an expert follow each other in the table.
  std::array<size_t, 3> parts_of(int layer, int expert) const {
    const size_t gate = first_expert_[static_cast<size_t>(layer)] + 3 * static_cast<size_t>(expert);
    SLUICE_CHECK(table_[gate].layer == layer && table_[gate].expert == expert &&
                     table_[gate].slot == Slot::kGate,
                 "an expert of a layer that has experts");
    return {gate, gate + 1, gate + 2};
  }

  const weights::Checkpoint& checkpoint_;
  std::vector<TensorSlot> table_;
  std::vector<Part> parts_;  // by tensor
  std::vector<tensor::DType> dtypes_;
  tensor::DType stored_ = tensor::DType::kF32;
  std::vector<size_t> first_expert_;  // by layer: gate of expert 0
  ReadAhead ahead_;
};

Status CheckpointSource::open(const ModelConfig& config, const Quantization& quantization) {
  SLUICE_TRY(check_tensors(config, table_, checkpoint_));
  std::array<int64_t, tensor::kDTypes> weights{};  // of matrices, by how they are stored
  std::vector<int64_t> ends;
  first_expert_.resize(config.layers.size());
  for (size_t i = 0; i < table_.size(); ++i) {
    const TensorSlot& tensor = table_[i];
    Part part{.entry = checkpoint_.find(tensor.name)};
    SLUICE_ASSIGN(part.view, checkpoint_.view(*part.entry));
    part.offset = part.entry->offset;
    if (tensor.is_matrix()) {
      const int64_t before =
          tensor::storage_bytes(part.view.dtype, tensor.first_row * tensor.shape[1]);
      part.view.shape = tensor.shape;
      part.view.data += before;
      part.offset += before;
      weights[static_cast<size_t>(part.view.dtype)] += tensor.shape.elements();
    }
    if (tensor.expert == 0 && tensor.slot == Slot::kGate)
      first_expert_[static_cast<size_t>(tensor.layer)] = i;
    dtypes_.push_back(dtype_in_memory(quantization, tensor, part.view.dtype));
    ends.push_back((ends.empty() ? 0 : ends.back()) + part.view.bytes());
    parts_.push_back(part);
  }
  stored_ = static_cast<tensor::DType>(std::ranges::max_element(weights) - weights.begin());
  ahead_ = ReadAhead(std::move(ends));
  return {};
}

Status CheckpointSource::pack(size_t tensor, std::byte* into, base::ThreadTeam* team) const {
  const TensorSlot& slot = table_[tensor];
  const Part& part = parts_[tensor];
  if (slot.is_matrix()) {
    const auto packed = load_matrix(part.view, slot, dtypes_[tensor], into, team);
    if (!packed) return packed.error().in(checkpoint_.file_of(*part.entry).string());
  } else {
    load_vector(part.view, slot, reinterpret_cast<float*>(into));
  }
  drop(tensor);
  return {};
}

Status CheckpointSource::read(size_t tensor, std::byte* into, base::ThreadTeam& team) {
  ahead_.reach(tensor, [this](size_t next) { prefetch(next); });
  return pack(tensor, into, &team);
}

int64_t CheckpointSource::room(size_t tensor) const {
  return base::round_up(bytes_in_memory(table_[tensor], dtypes_[tensor]), kernels::kPackAlignment);
}

Status CheckpointSource::load(std::span<const Wanted> wanted, base::ThreadTeam& team,
                              const LoadOptions& options) {
  std::vector<CheckpointTensor> tensors;
  for (const Wanted& one : wanted) {
    const Part& part = parts_[one.tensor];
    tensors.push_back(
        {.at = {&table_[one.tensor], part.entry->file, part.offset, part.view.bytes()},
         .stored = part.view.dtype,
         .dtype = dtypes_[one.tensor],
         .into = one.into});
  }
  return load_checkpoint(tensors, checkpoint_.files(), team, options);
}

Status CheckpointSource::check_pages() const {
  for (size_t i = 0; i < table_.size(); ++i) {
    const TensorSlot& tensor = table_[i];
    if (tensor.expert <= 0) continue;
    const size_t first = i - 3 * static_cast<size_t>(tensor.expert);
    if (dtypes_[i] == dtypes_[first]) continue;
    return Error{ErrorCode::kUnsupported,
                 checkpoint_.where() + ": tensor '" + tensor.name + "' would be packed as " +
                     tensor::info(dtypes_[i]).name + " and '" + table_[first].name + "' as " +
                     tensor::info(dtypes_[first]).name +
                     "; experts of a layer move only if all are of one type: choose a --quant"};
  }
  return {};
}

ExpertPage CheckpointSource::page(int layer) const {
  const auto [gate, up, down] = parts_of(layer, 0);
  return expert_page(table_[gate].shape[1], table_[gate].shape[0], dtypes_[gate], dtypes_[up],
                     dtypes_[down]);
}

Status CheckpointSource::read_page(int layer, int expert, std::byte* into, base::ThreadTeam* team) {
  const ExpertPage whole = page(layer);
  const auto tensors = parts_of(layer, expert);
  const std::array<int64_t, 4> offsets{0, whole.up_offset, whole.down_offset, whole.bytes};
  for (size_t i = 0; i < tensors.size(); ++i) {
    SLUICE_TRY(pack(tensors[i], into + offsets[i], team));
    const int64_t end = offsets[i] + bytes_in_memory(table_[tensors[i]], dtypes_[tensors[i]]);
    std::memset(into + end, 0, static_cast<size_t>(offsets[i + 1] - end));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<WeightSource>> checkpoint_source(const ModelConfig& config,
                                                        const Family& family,
                                                        const weights::Checkpoint& checkpoint,
                                                        const Quantization& quantization) {
  auto source = std::make_unique<CheckpointSource>(
      checkpoint, tensor_table(config, names_in(checkpoint, config, family)));
  SLUICE_TRY(source->open(config, quantization));
  return std::unique_ptr<WeightSource>(std::move(source));
}

}  // namespace sluice::models
