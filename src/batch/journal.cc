#include "batch/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "batch/line_reader.h"

namespace sluice::batch {
namespace {

constexpr int64_t kVersion = 1;

Json to_json(const BatchIdentity& identity) {
  return {{"input", identity.input},
          {"input_bytes", identity.input_bytes},
          {"model", identity.model},
          {"settings", identity.settings}};
}

Result<BatchIdentity> identity_of(const Json& json) {
  BatchIdentity identity;
  SLUICE_ASSIGN(identity.input, base::field<std::string>(json, "input", "batch"));
  SLUICE_ASSIGN(identity.input_bytes, base::field<int64_t>(json, "input_bytes", "batch"));
  SLUICE_ASSIGN(identity.model, base::field<std::string>(json, "model", "batch"));
  if (!json.contains("settings")) return Error{ErrorCode::kCorrupt, "no settings"};
  identity.settings = json["settings"];
  // Journals of before there was a choice of the KV cache's type lack it.
  if (identity.settings.is_object() && !identity.settings.contains("kv_dtype"))
    identity.settings["kv_dtype"] = "f32";
  return identity;
}

// The pid that the run which holds the lock has written, or 0.
int64_t holder(const File& file) {
  int64_t pid = 0;
  LineReader reader(file);
  for (;;) {
    auto line = reader.next();
    if (!line || !line->has_value()) return pid;
    const auto record = base::parse_json((*line)->text);
    if (!record) continue;
    if (const auto read = base::field_or<int64_t>(*record, "pid", pid, "")) pid = *read;
  }
}

// The first line of a journal, or what is left of one; bytes that never reached the disk are 0.
// Only a torn line, one without its end, may be short.
bool may_begin_journal(std::string_view line, bool torn) {
  constexpr std::string_view kBegin = "{\"sluice_batch_";
  if (!torn && line.size() < kBegin.size()) return false;
  for (size_t i = 0; i < std::min(line.size(), kBegin.size()); ++i) {
    if (line[i] != kBegin[i] && line[i] != '\0') return false;
  }
  return true;
}

// The lock lies on the file, not on its name: another file may have the name by now.
bool still_named(const File& file) {
  struct stat held = {}, named = {};
  return ::fstat(file.fd(), &held) == 0 && ::stat(file.path().c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

}  // namespace

Result<Journal> Journal::open(const std::string& output_path, const Place& place) {
  const std::string path = output_path + ".journal";
  Journal journal;
  do {
    SLUICE_ASSIGN(journal.file_, File::open(path, O_RDWR | O_CREAT | O_APPEND, place.faults));
    if (::flock(journal.file_.fd(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return journal.file_.system_error("lock");
      const int64_t pid = holder(journal.file_);
      return Error{ErrorCode::kInvalid,
                   "another run" + (pid > 0 ? " (process " + std::to_string(pid) + ")" : "") +
                       " is writing '" + output_path + "'; wait for it, or name another output"};
    }
  } while (!still_named(journal.file_));
  SLUICE_TRY(journal.read());
  journal.locked_ = true;
  const int64_t pid = place.process_id != 0 ? place.process_id : ::getpid();
  SLUICE_TRY(journal.append({{"sluice_batch_journal", kVersion}, {"pid", pid}}));
  // What an earlier run wrote may not have reached the disk either, and answers will rely on it.
  SLUICE_TRY(journal.file_.sync());
  SLUICE_TRY(sync_directory_of(path, place.faults));
  return journal;
}

Journal::~Journal() {
  // Whoever opened the file meanwhile sees that the name is gone, and makes another.
  if (locked_ && file_.is_open() && !identity_) (void)remove_file(file_.path(), file_.faults());
}

Status Journal::read() {
  const Error damaged{ErrorCode::kCorrupt,
                      "'" + file_.path() +
                          "' is not a journal of sluice batch, or is damaged; remove it and use "
                          "--force to keep the answers there are"};
  LineReader reader(file_);
  int64_t whole_bytes = 0;
  for (;;) {
    SLUICE_ASSIGN(const std::optional<Line> line, reader.next());
    if (!line || !line->whole) break;
    const auto record = base::parse_json(line->text);
    // What a loss of power left of records that were not synced. If it is one that was, the output
    // is found without an owner, and refused.
    if (!record || !record->is_object()) break;
    if (line->number == 1 && record->value("sluice_batch_journal", Json()) != kVersion)
      return damaged;
    if (record->contains("batch")) {
      auto identity = identity_of((*record)["batch"]);
      if (!identity) return damaged;
      identity_ = *identity;
      SLUICE_ASSIGN(begun_local_s_, base::field<int64_t>(*record, "begun_local_s", file_.path()));
    }
    if (record->contains("synced_bytes")) {
      SLUICE_ASSIGN(synced_bytes_, base::field<int64_t>(*record, "synced_bytes", file_.path()));
    }
    whole_bytes = line->end;
  }
  SLUICE_ASSIGN(const int64_t bytes, file_.size());
  if (bytes > 0 && whole_bytes == 0) {
    // Torn within its first line, or something else altogether, which is not ours to cut.
    SLUICE_ASSIGN(const std::string first, line_at(file_, 0));
    if (!may_begin_journal(first, std::ssize(first) == bytes)) return damaged;
  }
  return bytes > whole_bytes ? file_.truncate(whole_bytes) : Status();
}

std::string Journal::difference(const BatchIdentity& now) const {
  if (!identity_ || *identity_ == now) return "";
  if (identity_->input != now.input || identity_->input_bytes != now.input_bytes)
    return "another input";
  if (identity_->model != now.model) return "another model";
  for (const auto& [key, value] : now.settings.items()) {
    if (!identity_->settings.is_object() || identity_->settings.value(key, Json()) != value)
      return "another setting of '" + key + "'";
  }
  return "other settings";
}

Status Journal::begin(const BatchIdentity& identity, int64_t now_local_s) {
  SLUICE_TRY(append({{"batch", to_json(identity)}, {"begun_local_s", now_local_s}}));
  SLUICE_TRY(file_.sync());
  identity_ = identity;
  begun_local_s_ = now_local_s;
  return {};
}

Status Journal::synced(int64_t output_bytes) {
  SLUICE_TRY(append({{"synced_bytes", output_bytes}}));
  synced_bytes_ = output_bytes;
  return {};
}

Status Journal::replaced() {
  SLUICE_TRY(synced(0));
  return file_.sync();
}

Status Journal::append(const Json& record) {
  SLUICE_ASSIGN(const int64_t before, file_.size());
  const Status written = file_.write(base::to_line(record) + "\n");
  if (!written) (void)file_.truncate(before);
  return written;
}

}  // namespace sluice::batch
