#include "models/checkpoint_load.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "base/rounding.h"
#include "models/load_tensor.h"
#include "models/read_ahead.h"

namespace sluice::models {
namespace {

// Read at a time: large for the disk, short beside all buffers.
constexpr int64_t kRunBytes = int64_t{8} << 20;
constexpr size_t kNone = SIZE_MAX;

// Some panels of a piece, or a vector, for one thread.
struct Job {
  const LoadPiece* piece = nullptr;
  int64_t first_panel = 0, panels = 0;
};

class CheckpointLoad {
 public:
  CheckpointLoad(std::span<const CheckpointTensor> tensors,
                 std::span<const weights::MappedFile> files, base::ThreadTeam& team)
      : tensors_(tensors), files_(files), team_(team) {
    std::vector<FileTensor> places;
    for (const CheckpointTensor& tensor : tensors) places.push_back(tensor.at);
    pieces_ = cut(places, kRunBytes);
    runs_ = runs_of(pieces_, kRunBytes);
  }

  Status load(const LoadOptions& options);

 private:
  Status open(const LoadOptions& options);
  Status pack(const LoadRun& run, const std::byte* data);
  void add_jobs(const LoadPiece& piece);
  bool pack_job(const Job& job, const std::byte* data) const;

  std::span<const CheckpointTensor> tensors_;
  std::span<const weights::MappedFile> files_;
  base::ThreadTeam& team_;
  std::vector<LoadPiece> pieces_;
  std::vector<LoadRun> runs_;
  std::vector<bool> mapped_;  // by run: packed from the mapping
  std::unique_ptr<io::ReadStream> stream_;
  std::vector<Job> jobs_;
};

Status CheckpointLoad::open(const LoadOptions& options) {
  std::vector<std::filesystem::path> paths;
  for (const weights::MappedFile& file : files_) paths.push_back(file.path());
  if (paths.size() > static_cast<size_t>(io::kMaxFiles)) paths.resize(io::kMaxFiles);
  std::vector<io::Extent> extents;
  for (const LoadRun& run : runs_) {
    const io::Extent& at = run.extent;
    mapped_.push_back(at.file >= static_cast<int>(paths.size()) ||
                      (options.from_page_cache &&
                       files_[static_cast<size_t>(at.file)].cached(at.offset, at.bytes)));
    if (!mapped_.back()) extents.push_back(at);
  }
  if (extents.empty()) return {};
  SLUICE_ASSIGN(stream_,
                io::ReadStream::open(paths, std::move(extents), {.faults = options.faults}));
  return {};
}

Status CheckpointLoad::load(const LoadOptions& options) {
  SLUICE_TRY(open(options));
  int64_t done = 0, total = 0;
  std::vector<int64_t> ends;
  for (const LoadRun& run : runs_) ends.push_back(total += run.extent.bytes);
  // A mapping may be of a file that is not cached: see MappedFile::cached().
  ReadAhead ahead(std::move(ends));
  for (size_t i = 0; i < runs_.size(); ++i) {
    ahead.reach(i, [&](size_t next) {
      const io::Extent& extent = runs_[next].extent;
      if (mapped_[next])
        files_[static_cast<size_t>(extent.file)].prefetch(extent.offset, extent.bytes);
    });
    const io::Extent& at = runs_[i].extent;
    const weights::MappedFile& file = files_[static_cast<size_t>(at.file)];
    if (mapped_[i]) {
      SLUICE_TRY(pack(runs_[i], file.data().data() + at.offset));
      file.drop(at.offset, at.bytes);
    } else {
      SLUICE_ASSIGN(const std::span<const std::byte> bytes, stream_->next());
      SLUICE_TRY(pack(runs_[i], bytes.data()));
    }
    done += at.bytes;
    if (options.progress) options.progress(done, total);
  }
  return {};
}

void CheckpointLoad::add_jobs(const LoadPiece& piece) {
  if (piece.rows == 0) {
    jobs_.push_back({.piece = &piece});
    return;
  }
  const int64_t end = base::div_up(piece.first_row + piece.rows, kernels::kPanelRows);
  for (int64_t panel = piece.first_row / kernels::kPanelRows; panel < end; panel += kPanelsPerTask)
    jobs_.push_back({&piece, panel, std::min(kPanelsPerTask, end - panel)});
}

bool CheckpointLoad::pack_job(const Job& job, const std::byte* data) const {
  const LoadPiece& piece = *job.piece;
  const CheckpointTensor& tensor = tensors_[piece.tensor];
  const TensorSlot& slot = *tensor.at.slot;
  if (piece.rows == 0) {
    load_vector({tensor.stored, slot.shape, data}, slot, reinterpret_cast<float*>(tensor.into));
    return true;
  }
  const int64_t cols = slot.shape[1];
  return pack_panels({tensor.stored, cols, data, piece.first_row, piece.rows}, slot, tensor.dtype,
                     job.first_panel, job.panels,
                     tensor.into + job.first_panel * kernels::panel_bytes(tensor.dtype, cols));
}

// `data`: from the run's first byte on.
Status CheckpointLoad::pack(const LoadRun& run, const std::byte* data) {
  jobs_.clear();
  for (size_t i = 0; i < run.count; ++i) add_jobs(pieces_[run.first + i]);
  std::atomic<size_t> refused = kNone;
  team_.parallel_for(static_cast<int64_t>(jobs_.size()), [&](int64_t i) {
    const Job& job = jobs_[static_cast<size_t>(i)];
    if (!pack_job(job, data + (job.piece->offset - run.extent.offset))) refused = job.piece->tensor;
  });
  if (refused == kNone) return {};
  const CheckpointTensor& tensor = tensors_[refused];
  return cannot_hold(*tensor.at.slot, tensor.dtype)
      .in(files_[static_cast<size_t>(run.extent.file)].path().string());
}

}  // namespace

Status load_checkpoint(std::span<const CheckpointTensor> tensors,
                       std::span<const weights::MappedFile> files, base::ThreadTeam& team,
                       const LoadOptions& options) {
  return CheckpointLoad(tensors, files, team).load(options);
}

}  // namespace sluice::models
