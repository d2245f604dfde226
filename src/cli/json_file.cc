#include "cli/json_file.h"

#include "base/whole_file.h"

namespace sluice::cli {

Result<Json> read_json_file(const std::string& path, int64_t most_bytes) {
  SLUICE_ASSIGN(const std::string text, base::read_whole_file(path, most_bytes));
  auto json = base::parse_json(text, {.bytes = static_cast<size_t>(most_bytes)});
  if (!json.ok()) return json.error().in(path);
  return json;
}

}  // namespace sluice::cli
