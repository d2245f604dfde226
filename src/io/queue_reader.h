// The reader over a DeviceQueue: checks requests, hands their calls to the device, makes sense of
// what comes back.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/device_queue.h"
#include "io/faults.h"
#include "io/open_file.h"
#include "io/reader.h"
#include "io/request_table.h"

namespace sluice::io {

class QueueReader : public Reader {
 public:
  // `notes`: what is to be said already, such as why the queue is not io_uring.
  QueueReader(const ReaderOptions& options, std::unique_ptr<DeviceQueue> queue,
              std::vector<std::string> notes);

  Result<FileId> open(const std::filesystem::path& path) override;
  Result<FileId> open_scratch(const std::filesystem::path& directory, int64_t bytes) override;
  Status register_memory(std::span<std::byte> memory) override;
  Status submit(const Request& request) override;
  size_t wait(std::span<Completion> out, int64_t timeout_ms) override;
  void wake() override { queue_->wake(); }
  Backend backend() const override { return queue_->backend(); }
  bool direct(FileId file) const override;
  std::string notes() const override;

 private:
  using Clock = base::Clock;

  // A result that a fault withholds, or puts in a call's place.
  struct Held {
    bool stalled = false, answered = false;
    Clock::time_point until;
    int64_t result = 0;
    std::optional<int64_t> flipped_bit;
  };

  Status room_for_file(const std::filesystem::path& path) const;
  FileId keep(OpenFile file, std::string why_buffered);
  Status check(const Request& request) const;
  void note(std::string text);
  void start_waiting();
  void start(int slot);
  bool meet_fault(int slot, RequestTable::Ask& ask);
  void answered(int slot, int64_t result);
  void settle(int slot, int64_t result);
  void release_stalled();
  int64_t block_ms(Clock::time_point start, int64_t timeout_ms) const;
  size_t take(std::span<Completion> out);
  Status status_of(const Finished& finished) const;

  ReaderOptions options_;
  std::vector<std::string> notes_;
  size_t more_notes_ = 0;
  std::vector<OpenFile> files_;
  RequestTable table_;
  std::vector<DeviceResult> results_;
  std::vector<Held> held_;  // by slot
  size_t stalled_ = 0;
  std::unique_ptr<DeviceQueue> queue_;  // ends first
};

}  // namespace sluice::io
