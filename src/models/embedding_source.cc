#include "models/embedding_source.h"

#include <algorithm>

#include "base/check.h"
#include "base/rounding.h"
#include "weights/checksum.h"
#include "weights/quote.h"

namespace sluice::models {
namespace {

// What is read of a table at once, to check it.
constexpr int64_t kCheckedBytes = int64_t{8} << 20;

class EngineEmbedding final : public EmbeddingSource {
 public:
  EngineEmbedding(const weights::EngineDirectory& directory, const weights::EngineTensor& tensor)
      : directory_(directory),
        tensor_(tensor),
        panel_bytes_(kernels::panel_bytes(tensor.dtype, tensor.dims[1])) {}

  Status check(base::ThreadTeam& team);

  std::optional<WeightSource::PageAt> at(int64_t row) const override {
    const int64_t begin = place(row);
    const int64_t first = begin / kExpertPageAlignment * kExpertPageAlignment;
    const int64_t end = base::round_up(begin + panel_bytes_, kExpertPageAlignment);
    return WeightSource::PageAt{.file = tensor_.file, .offset = first, .bytes = end - first};
  }

  Status row(int64_t row, std::span<std::byte> read, float* into) const override {
    const auto panel = read.subspan(static_cast<size_t>(place(row) % kExpertPageAlignment),
                                    static_cast<size_t>(panel_bytes_));
    const int64_t number = row / kernels::kPanelRows;
    if (weights::crc32c(panel) != checksums_[static_cast<size_t>(number)]) {
      return Error{ErrorCode::kCorrupt,
                   directory_.file(tensor_.file).path().string() + ": rows " +
                       std::to_string(number * kernels::kPanelRows) + " and following of tensor " +
                       weights::quote(tensor_.name) + ", " + std::to_string(panel_bytes_) +
                       " bytes from " + std::to_string(place(row)) +
                       ", are not what was written there; build it again"};
    }
    kernels::unpack_row({.dtype = tensor_.dtype,
                         .rows = kernels::kPanelRows,
                         .cols = tensor_.dims[1],
                         .data = panel.data()},
                        row % kernels::kPanelRows, into);
    return {};
  }

 private:
  // Where its panel begins in the file.
  int64_t place(int64_t row) const {
    return tensor_.offset + row / kernels::kPanelRows * panel_bytes_;
  }

  const weights::EngineDirectory& directory_;
  const weights::EngineTensor& tensor_;
  int64_t panel_bytes_;
  std::vector<uint32_t> checksums_;  // by panel
};

// In order and piece by piece, so that little of it lies in memory at once.
Status EngineEmbedding::check(base::ThreadTeam& team) {
  const std::span<const std::byte> table = directory_.view(tensor_);
  const weights::MappedFile& file = directory_.file(tensor_.file);
  const auto panels = static_cast<int64_t>(table.size()) / panel_bytes_;
  checksums_.resize(static_cast<size_t>(panels));
  const int64_t at_once = std::max<int64_t>(kCheckedBytes / panel_bytes_, 1);
  file.prefetch(tensor_.offset, std::min(at_once, panels) * panel_bytes_);
  uint32_t whole = 0;
  for (int64_t first = 0; first < panels; first += at_once) {
    const int64_t count = std::min(at_once, panels - first);
    const int64_t begin = first * panel_bytes_, bytes = count * panel_bytes_;
    file.prefetch(tensor_.offset + begin + bytes, std::min(bytes, tensor_.bytes - begin - bytes));
    team.parallel_for(count, [&](int64_t i) {
      checksums_[static_cast<size_t>(first + i)] = weights::crc32c(table.subspan(
          static_cast<size_t>(begin + i * panel_bytes_), static_cast<size_t>(panel_bytes_)));
    });
    whole = weights::crc32c(table.subspan(static_cast<size_t>(begin), static_cast<size_t>(bytes)),
                            whole);
    file.drop(tensor_.offset + begin, bytes);
  }
  if (whole == tensor_.crc32c) return {};
  return weights::damaged_tensor(file.path(), tensor_);
}

class CheckpointEmbedding final : public EmbeddingSource {
 public:
  CheckpointEmbedding(const weights::MappedFile& file, int64_t offset,
                      const tensor::TensorView& stored, const TensorSlot& slot, tensor::DType dtype)
      : file_(file),
        offset_(offset),
        stored_(stored),
        row_bytes_(tensor::storage_bytes(stored.dtype, slot.shape[1])),
        slot_(slot),
        dtype_(dtype) {
    stored_.shape = slot_.shape = {1, slot.shape[1]};
  }

  std::optional<WeightSource::PageAt> at(int64_t) const override { return std::nullopt; }

  // Alone, as its blocks would be quantized anywhere. The pages around it are given back, so that
  // the table does not come to lie in memory after all.
  Status row(int64_t row, std::span<std::byte> room, float* into) const override {
    tensor::TensorView one = stored_;
    one.data += row * row_bytes_;
    const auto packed = load_matrix(one, slot_, dtype_, room.data(), nullptr);
    if (!packed) return packed.error().in(file_.path().string());
    kernels::unpack_row(*packed, 0, into);
    const int64_t begin = offset_ + row * row_bytes_;
    const int64_t first = begin / kExpertPageAlignment * kExpertPageAlignment;
    const int64_t end = base::round_up(begin + row_bytes_, kExpertPageAlignment);
    file_.drop(first, std::min(end, file_.bytes()) - first);
    return {};
  }

 private:
  const weights::MappedFile& file_;
  int64_t offset_;
  tensor::TensorView stored_;  // the table's first row
  int64_t row_bytes_;          // as stored
  TensorSlot slot_;            // of one row
  tensor::DType dtype_;
};

}  // namespace

int64_t embedding_read_bytes(tensor::DType dtype, int64_t hidden) {
  const int64_t panel = kernels::panel_bytes(dtype, hidden);
  const int64_t sectors = base::round_up(panel, kExpertPageAlignment);
  return sectors == panel ? panel : sectors + kExpertPageAlignment;
}

Result<std::unique_ptr<EmbeddingSource>> engine_embedding(const weights::EngineDirectory& directory,
                                                          const weights::EngineTensor& tensor,
                                                          base::ThreadTeam& team) {
  auto source = std::make_unique<EngineEmbedding>(directory, tensor);
  SLUICE_TRY(source->check(team));
  return std::unique_ptr<EmbeddingSource>(std::move(source));
}

std::unique_ptr<EmbeddingSource> checkpoint_embedding(const weights::MappedFile& file,
                                                      int64_t offset,
                                                      const tensor::TensorView& stored,
                                                      const TensorSlot& slot, tensor::DType dtype) {
  return std::make_unique<CheckpointEmbedding>(file, offset, stored, slot, dtype);
}

}  // namespace sluice::models
