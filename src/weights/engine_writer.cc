#include "weights/engine_writer.h"

#include <algorithm>
#include <cstdio>
#include <system_error>
#include <utility>

#include "base/units.h"
#include "weights/checksum.h"

namespace sluice::weights {
namespace {

namespace fs = std::filesystem;

// For the manifest, the journal and what a file system keeps of its own.
constexpr int64_t kMarginBytes = int64_t{16} << 20;

// "out" of "out/".
fs::path without_slash(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

Error refused(const fs::path& path, const char* what, const std::error_code& why) {
  const bool full = why == std::errc::no_space_on_device;
  return {full ? ErrorCode::kNoRoom : ErrorCode::kIo,
          path.string() + ": cannot be " + what + ": " + why.message() +
              (full ? "; make room, and the same command goes on" : "")};
}

Status check_room(const fs::path& out, int64_t bytes) {
  std::error_code failed;
  const fs::space_info space = fs::space(parent_of(out), failed);
  if (failed) return refused(parent_of(out), "asked for its room", failed);
  const int64_t needed = bytes + kMarginBytes;
  if (space.available >= static_cast<uintmax_t>(needed)) return {};
  return Error{ErrorCode::kNoRoom, "'" + out.string() + "' needs " +
                                       base::format_bytes(static_cast<double>(needed)) +
                                       " more, and its disk has " +
                                       base::format_bytes(static_cast<double>(space.available)) +
                                       " free; make room, or name a directory on another disk"};
}

// An OUT.partial that is there must be a build's, or have been made a moment before it was killed.
Status check_partial(const fs::path& partial) {
  std::error_code failed;
  if (fs::exists(partial / kEngineJournalFile, failed) || fs::is_empty(partial, failed)) return {};
  return Error{ErrorCode::kInvalid, "'" + partial.string() +
                                        "' exists and is no unfinished build; remove it, or name "
                                        "another OUT"};
}

Status write_beside(const fs::path& partial, std::span<const BesideText> beside,
                    EngineManifest& manifest) {
  for (const BesideText& file : beside) {
    const fs::path path = partial / file.name;
    if (path.parent_path() != partial) {
      std::error_code failed;
      fs::create_directory(path.parent_path(), failed);
      if (failed) return refused(path.parent_path(), "created", failed);
    }
    SLUICE_TRY(write_durable(path, file.bytes));
    if (path.parent_path() != partial) SLUICE_TRY(sync_directory(path.parent_path()));
    manifest.beside.push_back({file.name, static_cast<int64_t>(file.bytes.size()),
                               crc32c(std::as_bytes(std::span(file.bytes)))});
  }
  return {};
}

Status remove_journal(const fs::path& directory) {
  std::error_code failed;
  fs::remove(directory / kEngineJournalFile, failed);
  if (failed) return refused(directory / kEngineJournalFile, "removed", failed);
  return sync_directory(directory);
}

}  // namespace

Result<bool> finish_named(const fs::path& path, const BuildIdentity& identity) {
  const fs::path out = without_slash(path);
  std::error_code failed;
  if (!fs::exists(out / kEngineJournalFile, failed) ||
      !fs::exists(out / kEngineManifestFile, failed))
    return false;
  SLUICE_ASSIGN(const BuildJournal journal, BuildJournal::open(out / kEngineJournalFile, identity));
  SLUICE_TRY(remove_journal(out));
  return true;
}

Result<EngineWriter> EngineWriter::open(const fs::path& path, const BuildIdentity& identity,
                                        EnginePlaces places, int64_t beside_bytes) {
  const fs::path out = without_slash(path);
  std::error_code failed;
  if (fs::exists(out, failed)) {
    return Error{ErrorCode::kInvalid,
                 "'" + out.string() +
                     "' exists, and a finished directory is never written again; "
                     "remove it, or name another OUT"};
  }
  fs::path partial = out;
  partial += ".partial";
  if (fs::exists(partial, failed)) {
    SLUICE_TRY(check_partial(partial));
  } else {
    SLUICE_TRY(check_room(out, places.bytes + beside_bytes));
    fs::create_directory(partial, failed);
    if (failed) return refused(partial, "created", failed);
  }
  SLUICE_ASSIGN(BuildJournal journal, BuildJournal::open(partial / kEngineJournalFile, identity));
  EngineWriter writer(std::move(journal));
  writer.out_ = out;
  writer.partial_ = std::move(partial);
  writer.places_ = std::move(places);
  SLUICE_TRY(writer.find_written());
  SLUICE_TRY(check_room(out, writer.places_.bytes + beside_bytes - writer.bytes_found_));
  return writer;
}

// What the journal knows and the disk had by then is taken at its word; the rest is read back.
Status EngineWriter::find_written() {
  std::vector<bool> whole;
  for (const EngineFile& file : places_.files) {
    std::error_code failed;
    whole.push_back(fs::file_size(partial_ / file.name, failed) ==
                        static_cast<uintmax_t>(file.bytes) &&
                    !failed);
  }
  std::vector<std::byte> buffer;
  for (size_t group = 0; group < places_.groups.size(); ++group) {
    const auto& known = journal_.groups()[group];
    if (!known) continue;
    const EnginePlace& place = places_.groups[group];
    bool there = whole[static_cast<size_t>(place.file)];
    if (there && !known->synced) {
      SLUICE_TRY(use_file(place.file));
      buffer.resize(static_cast<size_t>(place.bytes));
      SLUICE_ASSIGN(const int64_t got, data_.read_at(place.offset, buffer));
      there = got == place.bytes && crc32c(buffer) == known->crc32c;
      unsynced_bytes_ += place.bytes;
    }
    if (there) {
      bytes_found_ += place.bytes;
    } else {
      SLUICE_TRY(journal_.lost(group));
    }
  }
  return {};
}

Status EngineWriter::use_file(int file) {
  if (file == file_) return {};
  if (data_.is_open()) {
    SLUICE_TRY(data_.sync());
    data_.give_back(0, places_.files[static_cast<size_t>(file_)].bytes);
  }
  const EngineFile& wanted = places_.files[static_cast<size_t>(file)];
  SLUICE_ASSIGN(data_, OutputFile::open(partial_ / wanted.name));
  file_ = file;
  SLUICE_ASSIGN(const int64_t bytes, data_.size());
  return bytes == wanted.bytes ? Status() : data_.resize(wanted.bytes);
}

Status EngineWriter::write(size_t group, std::span<const std::byte> bytes) {
  const EnginePlace& place = places_.groups[group];
  SLUICE_CHECK(static_cast<int64_t>(bytes.size()) == place.bytes, "the whole group");
  SLUICE_TRY(use_file(place.file));
  // What is behind it was never written, and reads as zeros.
  SLUICE_TRY(data_.write_at(place.offset, bytes));
  // The disk writes this group while the next is packed.
  data_.give_back(place.offset, place.bytes);
  SLUICE_TRY(journal_.wrote(group, crc32c(bytes)));
  unsynced_bytes_ += place.bytes;
  return unsynced_bytes_ < kSyncBytes ? Status() : sync();
}

Status EngineWriter::sync() {
  if (unsynced_bytes_ == 0) return {};
  SLUICE_TRY(data_.sync());
  data_.give_back(0, places_.files[static_cast<size_t>(file_)].bytes);
  SLUICE_TRY(sync_directory(partial_));
  SLUICE_TRY(journal_.synced());
  unsynced_bytes_ = 0;
  return {};
}

Status EngineWriter::finish(EngineManifest manifest, std::span<const BesideText> beside) {
  SLUICE_CHECK(std::ranges::all_of(journal_.groups(), [](const auto& g) { return g.has_value(); }),
               "every group is written");
  SLUICE_TRY(sync());
  manifest.files = places_.files;
  manifest.beside.clear();
  SLUICE_TRY(write_beside(partial_, beside, manifest));
  const std::string text = engine_manifest_text(manifest);
  const auto checked = parse_engine_manifest(text);
  SLUICE_CHECK(checked.ok(), checked.ok() ? "" : checked.error().message.c_str());
  char checksum[16];
  std::snprintf(checksum, sizeof checksum, "%08x\n", crc32c(std::as_bytes(std::span(text))));
  SLUICE_TRY(write_durable(partial_ / kEngineManifestChecksumFile, checksum));
  SLUICE_TRY(write_durable(partial_ / kEngineManifestFile, text));
  SLUICE_TRY(sync_directory(partial_));
  std::error_code failed;
  fs::rename(partial_, out_, failed);
  if (failed) return refused(out_, "given its name", failed);
  SLUICE_TRY(sync_directory(parent_of(out_)));
  return remove_journal(out_);
}

}  // namespace sluice::weights
