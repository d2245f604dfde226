#include "io/queue_reader.h"

#include <algorithm>
#include <cstring>

namespace sluice::io {
namespace {

constexpr size_t kMaxNotes = 8;
constexpr int64_t kMaxBlockMs = 3'600'000;  // at a time, of a wait without end

bool aligned(int64_t value) { return value % kDirectAlignment == 0; }

bool aligned(const std::byte* address) {
  return reinterpret_cast<uintptr_t>(address) % kDirectAlignment == 0;
}

std::string text_of(const Request& request, const OpenFile& file) {
  return std::string(request.writes ? "cannot write " : "cannot read ") +
         std::to_string(request.bytes) + " bytes at offset " + std::to_string(request.offset) +
         " of '" + file.path().string() + "': ";
}

}  // namespace

QueueReader::QueueReader(const ReaderOptions& options, std::unique_ptr<DeviceQueue> queue,
                         std::vector<std::string> notes)
    : options_(options),
      notes_(std::move(notes)),
      table_(options.max_requests, queue->depth(), options.read_bytes),
      results_(static_cast<size_t>(queue->depth())),
      held_(static_cast<size_t>(queue->depth())),
      queue_(std::move(queue)) {
  files_.reserve(kMaxFiles);
}

void QueueReader::note(std::string text) {
  if (notes_.size() < kMaxNotes) {
    notes_.push_back(std::move(text));
  } else {
    ++more_notes_;
  }
}

std::string QueueReader::notes() const {
  std::string all;
  for (const std::string& text : notes_) all += (all.empty() ? "" : "; ") + text;
  if (more_notes_ > 0) all += "; and " + std::to_string(more_notes_) + " more such notes";
  return all;
}

Status QueueReader::room_for_file(const std::filesystem::path& path) const {
  if (static_cast<int64_t>(files_.size()) < kMaxFiles) return {};
  return Error{ErrorCode::kNoRoom, "cannot open '" + path.string() + "': this reader holds " +
                                       std::to_string(kMaxFiles) +
                                       " files already; use another reader for the rest"};
}

FileId QueueReader::keep(OpenFile file, std::string why_buffered) {
  if (!why_buffered.empty()) note(std::move(why_buffered));
  const auto id = static_cast<FileId>(files_.size());
  if (auto why = queue_->register_file(id, file.fd())) {
    note("'" + file.path().string() + "' is not registered with the kernel: " + *why);
  }
  files_.push_back(std::move(file));
  return id;
}

Result<FileId> QueueReader::open(const std::filesystem::path& path) {
  SLUICE_TRY(room_for_file(path));
  std::string why_buffered;
  SLUICE_ASSIGN(OpenFile file, open_file(path, options_.direct, why_buffered));
  return keep(std::move(file), std::move(why_buffered));
}

Result<FileId> QueueReader::open_scratch(const std::filesystem::path& directory, int64_t bytes) {
  SLUICE_TRY(room_for_file(directory));
  std::string why_buffered;
  SLUICE_ASSIGN(OpenFile file, make_scratch(directory, bytes, options_.direct, why_buffered));
  return keep(std::move(file), std::move(why_buffered));
}

Status QueueReader::register_memory(std::span<std::byte> memory) {
  if (memory.empty()) return Error{ErrorCode::kInvalid, "no memory to register: it is empty"};
  if (table_.out() > 0) {
    return Error{ErrorCode::kInvalid, "memory cannot be registered while " +
                                          std::to_string(table_.out()) +
                                          " requests are out: do it before they are submitted"};
  }
  if (auto why = queue_->register_memory(memory)) note("memory is not registered: " + *why);
  return {};
}

bool QueueReader::direct(FileId file) const {
  SLUICE_CHECK(file >= 0 && static_cast<size_t>(file) < files_.size(), "the file is open here");
  return files_[file].direct();
}

Status QueueReader::check(const Request& request) const {
  if (request.file < 0 || static_cast<size_t>(request.file) >= files_.size()) {
    return Error{ErrorCode::kInvalid, "cannot use file " + std::to_string(request.file) +
                                          ": this reader has opened no such file"};
  }
  const OpenFile& file = files_[request.file];
  const auto invalid = [&](const std::string& what) {
    return Error{ErrorCode::kInvalid, text_of(request, file) + what};
  };
  if (request.bytes < 1 || request.offset < 0 || request.memory == nullptr ||
      request.offset > INT64_MAX - request.bytes - kDirectAlignment) {
    return invalid("a request has an offset of 0 or more, at least one byte, and memory for it");
  }
  const bool last = !request.writes && request.offset + request.bytes == file.bytes();
  const bool whole = aligned(request.bytes) || last;
  if (file.direct() && !(aligned(request.offset) && whole && aligned(request.memory))) {
    return invalid("offset, size and address of a direct request are multiples of " +
                   std::to_string(kDirectAlignment) +
                   " (but for the size of a read that ends where the file ends)");
  }
  if (request.writes && !(file.scratch() && request.offset + request.bytes <= file.bytes())) {
    return invalid("only scratch files are written, and they do not grow");
  }
  return {};
}

Status QueueReader::submit(const Request& request) {
  SLUICE_TRY(check(request));
  if (table_.full()) {
    return Error{ErrorCode::kNoRoom, "max_requests (" + std::to_string(options_.max_requests) +
                                         ") are out: wait for one before the next is submitted"};
  }
  table_.add(request, files_[request.file].direct());
  start_waiting();
  return {};
}

void QueueReader::start_waiting() {
  for (int slot = table_.begin(); slot >= 0; slot = table_.begin()) start(slot);
  queue_->flush();
}

void QueueReader::start(int slot) {
  RequestTable::Ask ask = table_.ask(slot);
  if (options_.faults != nullptr && meet_fault(slot, ask)) return;
  queue_->start(slot,
                {ask.file, files_[ask.file].fd(), ask.offset, ask.bytes, ask.memory, ask.writes});
}

// True if an error takes the call's place.
bool QueueReader::meet_fault(int slot, RequestTable::Ask& ask) {
  const Fault fault = ask.writes ? options_.faults->of_write(ask.file, ask.offset, ask.bytes)
                                 : options_.faults->of_read(ask.file, ask.offset, ask.bytes);
  Held& held = held_[slot];
  held = Held{};
  held.flipped_bit = fault.flipped_bit;
  held.until = options_.clock->now() + std::chrono::milliseconds(fault.stall_ms);
  held.stalled = fault.stall_ms > 0 || fault.error != 0;
  if (held.stalled) ++stalled_;
  if (fault.most_bytes) {
    int64_t most = std::max<int64_t>(1, *fault.most_bytes);
    if (ask.direct) most = std::max(most / kDirectAlignment, int64_t{1}) * kDirectAlignment;
    ask.bytes = std::min(ask.bytes, most);
  }
  if (fault.error == 0) return false;
  held.answered = true;
  held.result = -fault.error;
  return true;
}

// A result of the device, which a stall may hold back.
void QueueReader::answered(int slot, int64_t result) {
  Held& held = held_[slot];
  if (held.stalled) {
    held.answered = true;
    held.result = result;
  } else {
    settle(slot, result);
  }
}

void QueueReader::settle(int slot, int64_t result) {
  const std::optional<int64_t> bit = std::exchange(held_[slot].flipped_bit, std::nullopt);
  if (bit && *bit >= 0 && *bit / 8 < result) {
    table_.ask(slot).memory[*bit / 8] ^= std::byte{1} << static_cast<int>(*bit % 8);
  }
  if (table_.settle(slot, result)) start(slot);
}

void QueueReader::release_stalled() {
  if (stalled_ == 0) return;
  const Clock::time_point now = options_.clock->now();
  for (size_t slot = 0; slot < held_.size(); ++slot) {
    Held& held = held_[slot];
    if (!held.stalled || !held.answered || held.until > now) continue;
    held.stalled = held.answered = false;
    --stalled_;
    settle(static_cast<int>(slot), held.result);
  }
}

// How long the queue may block: to the caller's timeout, or the end of a stall before that.
int64_t QueueReader::block_ms(Clock::time_point start, int64_t timeout_ms) const {
  using std::chrono::ceil, std::chrono::milliseconds;
  const Clock::time_point now = options_.clock->now();
  int64_t most = kMaxBlockMs;
  if (timeout_ms >= 0) {
    const int64_t passed = std::chrono::floor<milliseconds>(now - start).count();
    most = std::clamp<int64_t>(timeout_ms - passed, 0, kMaxBlockMs);
  }
  if (stalled_ == 0) return most;
  for (const Held& held : held_) {
    if (!held.stalled || !held.answered) continue;
    most = std::clamp<int64_t>(ceil<milliseconds>(held.until - now).count(), 0, most);
  }
  return most;
}

size_t QueueReader::wait(std::span<Completion> out, int64_t timeout_ms) {
  if (out.empty()) return 0;
  const Clock::time_point start = options_.clock->now();
  int64_t block = 0;  // first what is there already
  while (true) {
    bool woken = false;
    const size_t ended = queue_->collect(results_, block, woken);
    for (size_t i = 0; i < ended; ++i) answered(results_[i].slot, results_[i].result);
    release_stalled();
    start_waiting();
    if (const size_t taken = take(out); taken > 0) return taken;
    if (woken) return 0;
    block = block_ms(start, timeout_ms);
    const auto passed =
        std::chrono::floor<std::chrono::milliseconds>(options_.clock->now() - start).count();
    if (timeout_ms >= 0 && passed >= timeout_ms) return 0;
  }
}

size_t QueueReader::take(std::span<Completion> out) {
  size_t taken = 0;
  Finished finished;
  while (taken < out.size() && table_.take(finished)) {
    out[taken++] = {finished.request.user, status_of(finished)};
  }
  return taken;
}

Status QueueReader::status_of(const Finished& finished) const {
  if (finished.failure == 0) return {};
  const Request& request = finished.request;
  const std::string what = text_of(request, files_[request.file]);
  const std::string place = std::to_string(finished.failed_offset);
  if (finished.failure == Finished::kEndOfFile) {
    return Error{ErrorCode::kCorrupt, what + "the file ends before that, near offset " + place +
                                          "; it has been cut short, so copy it again"};
  }
  return Error{ErrorCode::kIo, what + std::strerror(finished.failure) + " at offset " + place +
                                   "; check the disk" +
                                   (request.writes ? "" : ", or read a copy of the file")};
}

}  // namespace sluice::io
