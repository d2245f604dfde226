// What the disk lane brings: pages of experts to their slots, and rows of the token embedding to
// their places. It reads them alike; what is done with what has come, and to whom it is told that
// nothing came, is the kind's own.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "engine/expert_paging.h"
#include "memory/embedding_rows.h"
#include "models/embedding_source.h"
#include "schedule/task.h"

namespace sluice::engine {

// Each kind counts its own.
struct DiskPage {
  schedule::Payload kind = schedule::Payload::kWeights;  // or kRow; or kKv, a block of the cache
  uint32_t id = 0;
  auto operator<=>(const DiskPage&) const = default;
};
inline DiskPage page_of(const schedule::Transfer& transfer) {
  return {transfer.payload, transfer.pages.first};
}

// Of the disk's thread, but for the one that says so. `read` is the number of a read under way.
class DiskPages {
 public:
  virtual ~DiskPages() = default;

  virtual std::string name(uint32_t page) const = 0;  // "expert 3 of layer 1"
  // Where it lies. Nothing: make() it.
  virtual std::optional<models::WeightSource::PageAt> at(uint32_t page) const = 0;
  virtual std::span<std::byte> room(uint32_t page, int read) const = 0;  // [at(page).bytes]
  // The room is filled: checks it and gives the page to whoever needs it.
  virtual Status arrived(uint32_t page, int read) = 0;
  // On this thread, from the checkpoint's tensors. If it can be had, it has arrived.
  virtual Status make(uint32_t page, int read) = 0;
  // Nobody reads it any more, it cannot be had now; or it has not come in time.
  virtual void failed(uint32_t page) = 0;
  virtual void doubt(uint32_t page) = 0;
  // From any thread.
  virtual bool doubtful(uint32_t page) const = 0;
};

class ExpertPages final : public DiskPages {
 public:
  ExpertPages(ExpertPaging& paging, models::WeightSource& source)
      : paging_(paging), source_(source) {}

  std::string name(uint32_t page) const override;
  std::optional<models::WeightSource::PageAt> at(uint32_t page) const override;
  std::span<std::byte> room(uint32_t page, int read) const override;
  Status arrived(uint32_t page, int read) override;
  Status make(uint32_t page, int read) override;
  void failed(uint32_t page) override { paging_.pages().failed(page); }
  void doubt(uint32_t page) override { paging_.pages().doubt(page); }
  bool doubtful(uint32_t page) const override { return paging_.pages().doubtful(page); }

 private:
  void take(uint32_t page);

  ExpertPaging& paging_;
  models::WeightSource& source_;
};

class RowPages final : public DiskPages {
 public:
  RowPages(memory::EmbeddingRows& rows, const models::EmbeddingSource& source)
      : rows_(rows), source_(source), row_(static_cast<size_t>(rows.shape().hidden)) {}

  std::string name(uint32_t row) const override;
  std::optional<models::WeightSource::PageAt> at(uint32_t row) const override;
  std::span<std::byte> room(uint32_t row, int read) const override;
  Status arrived(uint32_t row, int read) override;
  Status make(uint32_t row, int read) override { return arrived(row, read); }
  void failed(uint32_t row) override { rows_.doubt(row); }
  void doubt(uint32_t row) override { rows_.doubt(row); }
  bool doubtful(uint32_t row) const override { return rows_.doubtful(row); }

 private:
  memory::EmbeddingRows& rows_;
  const models::EmbeddingSource& source_;
  std::vector<float> row_;  // that has come
};

}  // namespace sluice::engine
