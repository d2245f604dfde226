#include "batch/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "batch/line_reader.h"
#include "batch/replacement.h"

namespace sluice::batch {
namespace {

// Enough of an output line for its head: the id may take six bytes a character in JSON.
constexpr size_t kHeadBytes = 6 * kMaxCustomIdBytes + 256;

// The last line of a run that was killed while it wrote.
bool may_be_torn(const Line& line) {
  constexpr std::string_view kBegin = "{\"id\":\"batch_req_";
  const std::string_view begin = line.text.substr(0, kBegin.size());
  return !line.whole && !line.too_long && kBegin.starts_with(begin);
}

bool is_answer(const Line& line, bool was_synced) {
  if (!line.whole || line.too_long || !read_answer_head(line.text)) return false;
  // What was not synced may have holes after a loss of power: only all of it will do.
  base::JsonLimits limits;
  limits.bytes = kMaxAnswerBytes;
  return was_synced || base::parse_json(line.text, limits).ok();
}

}  // namespace

Result<Output> Output::open(const std::string& path, Journal& journal, SyncInterval interval,
                            const base::Clock& clock) {
  SLUICE_ASSIGN(File file, File::open(path, O_RDWR | O_CREAT | O_APPEND, journal.faults()));
  struct stat info = {};
  if (::fstat(file.fd(), &info) != 0) return file.system_error("read");
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::kInvalid,
                 "the output '" + path + "' is not a regular file, and could not be resumed"};
  }
  Output output(std::move(file), journal, interval, clock);
  output.bytes_ = output.synced_ = info.st_size;
  SLUICE_TRY(Replacement::remove_left_over(path, journal.faults()));
  SLUICE_TRY(sync_directory_of(path, journal.faults()));
  return output;
}

Status Output::recover(const OnAnswer& on_answer) {
  LineReader reader(file_, 0, kMaxAnswerBytes);
  const int64_t durable_bytes = journal_->identity() ? journal_->synced_bytes() : bytes_;
  int64_t good_bytes = 0;
  for (;;) {
    SLUICE_ASSIGN(const std::optional<Line> line, reader.next());
    if (!line) break;
    const bool was_synced = line->offset < durable_bytes;
    if (!is_answer(*line, was_synced)) {
      if (was_synced && !may_be_torn(*line)) {
        return Error{ErrorCode::kCorrupt,
                     "line " + std::to_string(line->number) + " of '" + file_.path() +
                         "' is not an answer of sluice batch; remove that line, or name another "
                         "output"};
      }
      SLUICE_TRY(file_.truncate(good_bytes));
      break;
    }
    SLUICE_TRY(on_answer(*read_answer_head(line->text), line->offset));
    good_bytes = line->end;
  }
  bytes_ = good_bytes;
  synced_ = std::min(synced_, bytes_);
  return {};
}

Result<int64_t> Output::drop_faults() {
  LineReader reader(file_, 0, kMaxAnswerBytes);
  std::optional<Replacement> kept;  // from the first line that goes
  int64_t dropped = 0, copied = 0, end = 0, whole_end = 0;
  for (;;) {
    SLUICE_ASSIGN(const std::optional<Line> line, reader.next());
    if (!line) break;
    // Nothing that this program wrote: recover() says so, as of anything else.
    if (line->too_long) return 0;
    end = line->end;
    if (!line->whole) break;
    whole_end = end;
    const auto head = read_answer_head(line->text);
    if (!head || !head->fault) continue;
    if (!kept) {
      SLUICE_ASSIGN(Replacement begun, Replacement::begin(file_));
      kept.emplace(std::move(begun));
    }
    SLUICE_TRY(kept->copy(copied, line->offset));
    copied = end;
    ++dropped;
  }
  if (!kept) return 0;
  SLUICE_TRY(kept->copy(copied, end));
  SLUICE_ASSIGN(const int64_t bytes, kept->sync());
  if (journal_->identity()) SLUICE_TRY(journal_->replaced());
  SLUICE_ASSIGN(file_, kept->take_place());
  bytes_ = synced_ = bytes;
  if (journal_->identity()) SLUICE_TRY(journal_->synced(bytes - (end - whole_end)));
  return dropped;
}

Status Output::append(std::string_view line) {
  std::string text;
  text.reserve(line.size() + 1);
  text.append(line).push_back('\n');
  if (const Status written = file_.write(text); !written) {
    // Should this fail too, the next run finds a last line without its newline.
    (void)file_.truncate(bytes_);
    return written;
  }
  if (bytes_ == synced_) first_unsynced_ = clock_->now();
  bytes_ += static_cast<int64_t>(text.size());
  return {};
}

Status Output::sync_if_due() {
  if (bytes_ == synced_) return {};
  const bool due =
      bytes_ - synced_ >= interval_.bytes || clock_->now() - first_unsynced_ >= interval_.time;
  return due ? sync() : Status();
}

Status Output::sync() {
  if (bytes_ == synced_ && bytes_ == journal_->synced_bytes()) return {};
  SLUICE_TRY(file_.sync());
  SLUICE_TRY(journal_->synced(bytes_));
  synced_ = bytes_;
  return {};
}

Result<std::string> Output::id_at(int64_t offset) const {
  SLUICE_ASSIGN(const std::string text, line_at(file_, offset, kHeadBytes));
  // The head is all that is needed; the rest of the line need not be held.
  const auto head = read_answer_head(text.ends_with('}') ? text : text + "}");
  if (!head) {
    return Error{ErrorCode::kCorrupt,
                 "'" + file_.path() + "' has changed while it was read; start again"};
  }
  return head->custom_id;
}

Result<int64_t> Output::count_lines() const {
  std::vector<char> buffer(size_t{1} << 20);
  int64_t lines = 0, at = 0;
  for (;;) {
    SLUICE_ASSIGN(const size_t got, file_.read_at(at, buffer.data(), buffer.size()));
    const auto end = buffer.begin() + static_cast<std::ptrdiff_t>(got);
    lines += std::count(buffer.begin(), end, '\n');
    at += static_cast<int64_t>(got);
    if (got < buffer.size()) return lines;
  }
}

}  // namespace sluice::batch
