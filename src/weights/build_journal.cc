#include "weights/build_journal.h"

#include "base/json.h"

namespace sluice::weights {
namespace {

constexpr int64_t kVersion = 1;
constexpr const char* kMagic = "sluice_build_journal";

Json to_json(const BuildIdentity& identity) {
  return {{kMagic, kVersion},
          {"model", identity.model},
          {"quant", identity.quantization},
          {"program", identity.program},
          {"groups", identity.groups},
          {"bytes", identity.bytes}};
}

// What differs between the build that began and this one, for a sentence.
std::string difference(const Json& begun, const BuildIdentity& now) {
  const Json wanted = to_json(now);
  if (begun.value("model", Json()) != wanted["model"]) return "of another model";
  if (begun.value("quant", Json()) != wanted["quant"])
    return "with another --quant, " + base::to_line(begun.value("quant", Json()));
  if (begun.value("program", Json()) != wanted["program"])
    return "by another version, " + base::to_line(begun.value("program", Json()));
  return "with groups of other sizes";
}

}  // namespace

Result<BuildJournal> BuildJournal::open(const std::filesystem::path& path,
                                        const BuildIdentity& identity) {
  BuildJournal journal;
  SLUICE_ASSIGN(journal.file_, OutputFile::open(path));
  SLUICE_ASSIGN(const bool locked, journal.file_.lock());
  if (!locked || !journal.file_.still_named()) {
    return Error{ErrorCode::kInvalid, "another run is building '" + path.parent_path().string() +
                                          "'; wait for it, or name another OUT"};
  }
  journal.groups_.resize(static_cast<size_t>(identity.groups));
  SLUICE_TRY(journal.read(identity));
  return journal;
}

Status BuildJournal::read(const BuildIdentity& identity) {
  SLUICE_ASSIGN(const std::string text, file_.read_all());
  const std::string first = base::to_line(to_json(identity)) + "\n";
  const size_t whole = text.rfind('\n') + 1;  // 0 without any
  if (whole == 0) {
    // Torn within its first line: nothing can have been written yet.
    SLUICE_TRY(file_.resize(0));
    return file_.append(first);
  }
  const Error damaged{ErrorCode::kCorrupt,
                      file_.path().string() +
                          " is not a journal of sluice build, or is damaged; remove '" +
                          file_.path().parent_path().string() + "' to build anew"};
  size_t at = text.find('\n') + 1;
  const auto begun = base::parse_json(text.substr(0, at));
  if (!begun || !begun->is_object() || begun->value(kMagic, Json()) != kVersion) return damaged;
  if (text.compare(0, at, first) != 0) {
    return Error{ErrorCode::kInvalid,
                 "'" + file_.path().parent_path().string() + "' is an unfinished build " +
                     difference(*begun, identity) + "; remove it, or name another OUT"};
  }
  while (at < whole) {
    const size_t end = text.find('\n', at) + 1;
    if (!take(text.substr(at, end - at))) return damaged;
    at = end;
  }
  return whole < text.size() ? file_.resize(static_cast<int64_t>(whole)) : Status();
}

Status BuildJournal::take(const std::string& line) {
  SLUICE_ASSIGN(const Json record, base::parse_json(line));
  if (record.is_object() && record.contains("synced")) {
    for (auto& group : groups_) {
      if (group) group->synced = true;
    }
    return {};
  }
  const bool lost = record.is_object() && record.contains("lost");
  SLUICE_ASSIGN(const int64_t group,
                base::field<int64_t>(record, lost ? "lost" : "group", "journal"));
  SLUICE_ASSIGN(const int64_t crc, base::field_or<int64_t>(record, "crc32c", 0, "journal"));
  if (group < 0 || group >= static_cast<int64_t>(groups_.size()) || crc < 0 || crc > UINT32_MAX)
    return Error{ErrorCode::kCorrupt, "a group that there is not"};
  auto& known = groups_[static_cast<size_t>(group)];
  known.reset();
  if (!lost) known = Written{static_cast<uint32_t>(crc), false};
  return {};
}

Status BuildJournal::wrote(size_t group, uint32_t crc32c) {
  groups_[group] = Written{crc32c, false};
  return file_.append("{\"group\":" + std::to_string(group) +
                      ",\"crc32c\":" + std::to_string(crc32c) + "}\n");
}

Status BuildJournal::lost(size_t group) {
  groups_[group].reset();
  return file_.append("{\"lost\":" + std::to_string(group) + "}\n");
}

Status BuildJournal::synced() {
  for (auto& group : groups_) {
    if (group) group->synced = true;
  }
  SLUICE_TRY(file_.append("{\"synced\":true}\n"));
  return file_.sync();
}

}  // namespace sluice::weights
