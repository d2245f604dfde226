#include "batch/id_index.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "batch/hash.h"

namespace sluice::batch {
namespace {

// An entry: 20 bits of hash, 1 bit of where, 43 bits of offset + 1; an empty slot is 0.
constexpr int kOffsetBits = 43;
constexpr uint64_t kOffsetMask = (uint64_t{1} << kOffsetBits) - 1;
constexpr uint64_t kOutputBit = uint64_t{1} << kOffsetBits;
constexpr uint64_t kTagMask = ~(kOffsetMask | kOutputBit);
constexpr int64_t kMinSlots = 64;

uint64_t entry(uint64_t tag, IdIndex::Where where, int64_t offset) {
  return tag | (where == IdIndex::Where::kOutput ? kOutputBit : 0) |
         (static_cast<uint64_t>(offset) + 1);
}

IdIndex::Where where(uint64_t value) {
  return (value & kOutputBit) != 0 ? IdIndex::Where::kOutput : IdIndex::Where::kInput;
}

int64_t offset(uint64_t value) { return static_cast<int64_t>(value & kOffsetMask) - 1; }

Status check_offset(int64_t at) {
  if (static_cast<uint64_t>(at) + 1 <= kOffsetMask) return {};
  return Error{ErrorCode::kUnsupported,
               "the input or the output is larger than 8 TiB; split the batch"};
}

}  // namespace

Result<IdIndex> IdIndex::create(int64_t lines, const std::string& beside, ReadId read_id) {
  IdIndex index;
  index.slots_ = std::max(kMinSlots, 2 * lines);
  index.read_id_ = std::move(read_id);
  SLUICE_ASSIGN(index.file_, File::scratch(beside));
  // Blocks are taken now: a full disk must not become a SIGBUS later.
  errno = ::posix_fallocate(index.file_.fd(), 0, static_cast<off_t>(index.bytes()));
  if (errno != 0) return index.file_.system_error("reserve the id index in");
  void* mapped = ::mmap(nullptr, static_cast<size_t>(index.bytes()), PROT_READ | PROT_WRITE,
                        MAP_SHARED, index.file_.fd(), 0);
  if (mapped == MAP_FAILED) return index.file_.system_error("map");
  index.table_ = static_cast<uint64_t*>(mapped);
  return index;
}

IdIndex::IdIndex(IdIndex&& other) noexcept
    : file_(std::move(other.file_)),
      table_(other.table_),
      slots_(other.slots_),
      read_id_(std::move(other.read_id_)) {
  other.table_ = nullptr;
}

IdIndex::~IdIndex() {
  if (table_ != nullptr) ::munmap(table_, static_cast<size_t>(bytes()));
}

Result<int64_t> IdIndex::locate(std::string_view custom_id, uint64_t& tag) {
  const uint64_t hash = hash_bytes(custom_id);
  tag = hash & kTagMask;
  auto slot = static_cast<int64_t>(hash_bytes(custom_id, 1) % static_cast<uint64_t>(slots_));
  for (int64_t probes = 0; probes < slots_; ++probes) {
    const uint64_t value = table_[slot];
    if (value == 0) return slot;
    if ((value & kTagMask) == tag) {
      SLUICE_ASSIGN(const std::string id, read_id_(where(value), offset(value)));
      if (id == custom_id) return slot;
    }
    slot = slot + 1 == slots_ ? 0 : slot + 1;
  }
  return Error{ErrorCode::kInvalid, "the input has changed while it was read; start again"};
}

Result<bool> IdIndex::add_answered(std::string_view custom_id, int64_t output_offset) {
  SLUICE_TRY(check_offset(output_offset));
  uint64_t tag = 0;
  SLUICE_ASSIGN(const int64_t slot, locate(custom_id, tag));
  if (table_[slot] != 0) return false;
  table_[slot] = entry(tag, Where::kOutput, output_offset);
  return true;
}

Result<IdIndex::Found> IdIndex::add_line(std::string_view custom_id, int64_t input_offset,
                                         int64_t& first_offset) {
  SLUICE_TRY(check_offset(input_offset));
  uint64_t tag = 0;
  SLUICE_ASSIGN(const int64_t slot, locate(custom_id, tag));
  const uint64_t value = table_[slot];
  if (value != 0 && where(value) == Where::kInput) {
    first_offset = offset(value);
    return Found::kRepeated;
  }
  table_[slot] = entry(tag, Where::kInput, input_offset);
  return value == 0 ? Found::kNew : Found::kAnswered;
}

Result<bool> IdIndex::is_answered(std::string_view custom_id) {
  uint64_t tag = 0;
  SLUICE_ASSIGN(const int64_t slot, locate(custom_id, tag));
  return table_[slot] != 0 && where(table_[slot]) == Where::kOutput;
}

}  // namespace sluice::batch
