#include "io/request_table.h"

#include <algorithm>
#include <cerrno>

#include "base/rounding.h"

namespace sluice::io {
namespace {

// In a row, without a byte read: a device that says "again" for ever is a failed one.
constexpr int kMaxRetries = 64;

}  // namespace

RequestTable::RequestTable(int64_t max_requests, int slots, int64_t read_bytes)
    : read_bytes_(read_bytes),
      requests_(static_cast<size_t>(max_requests)),
      slots_(static_cast<size_t>(slots)),
      finished_(static_cast<size_t>(max_requests)) {
  for (int64_t i = max_requests; i-- > 0;) free_requests_.push_back(static_cast<int32_t>(i));
  for (int i = slots; i-- > 0;) free_slots_.push_back(i);
}

int64_t RequestTable::out() const {
  return static_cast<int64_t>(requests_.size() - free_requests_.size());
}

void RequestTable::add(const Request& request, bool direct) {
  SLUICE_CHECK(!full(), "a table has room for the request");
  const int32_t at = free_requests_.back();
  free_requests_.pop_back();
  requests_[at] = Entry{request, direct};
  if (head_ == kNone) {
    head_ = at;
  } else {
    requests_[tail_].next = at;
  }
  tail_ = at;
}

bool RequestTable::continues(const Slot& slot, const Entry& request) const {
  return request.wanted.file == slot.file && request.wanted.writes == slot.writes &&
         request.wanted.offset == slot.offset + slot.bytes &&
         request.wanted.memory == slot.memory + slot.bytes;
}

int RequestTable::begin() {
  if (head_ == kNone || free_slots_.empty()) return -1;
  const int at = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[at];
  const Entry& first = requests_[head_];
  slot = Slot{};
  slot.file = first.wanted.file;
  slot.direct = first.direct;
  slot.writes = first.wanted.writes;
  slot.offset = first.wanted.offset + first.issued_bytes;
  slot.memory = first.wanted.memory + first.issued_bytes;
  slot.current = head_;
  slot.current_end = std::min(read_bytes_, first.wanted.bytes - first.issued_bytes);
  do {
    Entry& request = requests_[head_];
    const int64_t part =
        std::min(read_bytes_ - slot.bytes, request.wanted.bytes - request.issued_bytes);
    request.issued_bytes += part;
    ++request.reads_out;
    slot.bytes += part;
    if (request.issued_bytes < request.wanted.bytes) break;
    head_ = request.next;
  } while (head_ != kNone && slot.bytes < read_bytes_ && continues(slot, requests_[head_]));
  return at;
}

RequestTable::Ask RequestTable::ask(int at) const {
  const Slot& slot = slots_[at];
  const int64_t end = slot.parted ? slot.current_end : slot.bytes;
  const int64_t bytes = end - slot.done_bytes;
  return {slot.file,
          slot.offset + slot.done_bytes,
          slot.direct ? base::round_up(bytes, kDirectAlignment) : bytes,
          slot.memory + slot.done_bytes,
          slot.direct,
          slot.writes};
}

bool RequestTable::settle(int at, int64_t result) {
  Slot& slot = slots_[at];
  if (result == -EINTR || result == -EAGAIN) {
    if (++slot.retries < kMaxRetries) return true;
    return refuse(slot, static_cast<int>(-result)) || release(at);
  }
  if (result < 0) return refuse(slot, static_cast<int>(-result)) || release(at);
  const int64_t end = slot.parted ? slot.current_end : slot.bytes;
  int64_t read = std::min(result, end - slot.done_bytes);
  // A direct read can go on only at an aligned place, and stops elsewhere only at the file's end.
  if (slot.direct && slot.done_bytes + read < end) read -= read % kDirectAlignment;
  if (read == 0) return refuse(slot, Finished::kEndOfFile) || release(at);
  slot.retries = 0;
  slot.done_bytes += read;
  advance(slot);
  return slot.done_bytes < slot.bytes || release(at);
}

// Leaves the requests whose parts lie wholly before done_bytes.
void RequestTable::advance(Slot& slot) {
  while (slot.current != kNone && slot.current_end <= slot.done_bytes) {
    const int32_t left = slot.current;
    slot.current = slot.current_end < slot.bytes ? requests_[left].next : kNone;
    if (slot.current != kNone) {
      const int64_t rest = slot.bytes - slot.current_end;
      slot.current_end += std::min(rest, requests_[slot.current].wanted.bytes);
    }
    leave(left);
  }
}

// A read failed. If it covers more than one request, they are read one by one from here on;
// if not, the one that it stands in has failed. True if there is something left to ask for.
bool RequestTable::refuse(Slot& slot, int failure) {
  slot.retries = 0;
  if (!slot.parted && slot.current_end < slot.bytes) {
    slot.parted = true;
    return true;
  }
  fail(slot.current, failure, slot.offset + slot.done_bytes);
  slot.done_bytes = slot.current_end;
  advance(slot);
  return slot.done_bytes < slot.bytes;
}

void RequestTable::fail(int32_t at, int failure, int64_t offset) {
  Entry& request = requests_[at];
  if (request.failure == 0) {
    request.failure = failure;
    request.failed_offset = offset;
  }
  if (request.issued_bytes == request.wanted.bytes) return;
  // Its other bytes need not be read. Only the first in line can have been begun.
  SLUICE_CHECK(head_ == at, "a request begun in part is the first that waits");
  head_ = request.next;
  request.issued_bytes = request.wanted.bytes;
}

void RequestTable::leave(int32_t at) {
  Entry& request = requests_[at];
  if (--request.reads_out > 0 || request.issued_bytes < request.wanted.bytes) return;
  finished_[(finished_first_ + finished_count_) % finished_.size()] = at;
  ++finished_count_;
}

bool RequestTable::release(int at) {
  free_slots_.push_back(at);
  return false;
}

bool RequestTable::take(Finished& finished) {
  if (finished_count_ == 0) return false;
  const int32_t at = finished_[finished_first_];
  finished_first_ = (finished_first_ + 1) % finished_.size();
  --finished_count_;
  finished = {requests_[at].wanted, requests_[at].failure, requests_[at].failed_offset};
  free_requests_.push_back(at);
  return true;
}

}  // namespace sluice::io
