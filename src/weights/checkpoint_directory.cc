// Which reader opens which path, and the shards of a Hugging Face directory.
#include <algorithm>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "base/whole_file.h"
#include "weights/checkpoint.h"
#include "weights/gguf.h"
#include "weights/quote.h"
#include "weights/safetensors.h"
#include "weights/safetensors_index.h"

namespace sluice::weights {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

// The shards that the map names, each once, and the shard of each tensor.
struct Shards {
  std::vector<std::string> names;
  std::vector<size_t> of_tensor;  // parallel to the weight map
};

Result<Shards> list_shards(const WeightMap& map) {
  Shards shards;
  std::unordered_map<std::string_view, size_t> known;
  for (const auto& [tensor, shard] : map) {
    const auto [it, fresh] = known.try_emplace(shard, shards.names.size());
    if (fresh) shards.names.push_back(shard);
    if (shards.names.size() > kMaxShards)
      return Error{ErrorCode::kInvalid,
                   "the index names more than " + std::to_string(kMaxShards) + " shards"};
    shards.of_tensor.push_back(it->second);
  }
  return shards;
}

// Every tensor stands where the index says, and the index says every tensor. `entries` is sorted
// by name, as the map is.
Status check_against_index(const WeightMap& map, const Shards& shards,
                           std::span<const TensorEntry> entries) {
  size_t at = 0;
  for (size_t i = 0; i < map.size(); ++i) {
    const auto& [tensor, shard] = map[i];
    if (at < entries.size() && entries[at].name < tensor) break;
    if (at == entries.size() || entries[at].name != tensor) {
      return Error{ErrorCode::kCorrupt, "the index says that " + quote(shard) + " holds tensor " +
                                            quote(tensor) + ", but no shard does"};
    }
    if (static_cast<size_t>(entries[at].file) != shards.of_tensor[i]) {
      return Error{ErrorCode::kCorrupt,
                   "the index says that " + quote(shard) + " holds tensor " + quote(tensor) +
                       ", but it is in " +
                       quote(shards.names[static_cast<size_t>(entries[at].file)])};
    }
    ++at;
  }
  if (at == entries.size()) return {};
  return Error{ErrorCode::kCorrupt, quote(shards.names[static_cast<size_t>(entries[at].file)]) +
                                        " holds tensor " + quote(entries[at].name) +
                                        ", which the index does not name"};
}

// No weights that sluice reads: say what is there instead.
Error no_weights(const fs::path& directory) {
  std::string hint = "; a Hugging Face model directory is expected";
  std::error_code ignored;
  for (const auto& item : fs::directory_iterator(directory, ignored)) {
    const std::string extension = item.path().extension().string();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth")
      hint =
          "; " + quote(item.path().filename().string()) + " is not read, convert it to safetensors";
    if (extension == ".gguf")
      hint = "; name the file " + quote(item.path().filename().string()) + " itself";
  }
  return {ErrorCode::kNotFound,
          directory.string() + ": has neither " + kSingleFile + " nor " + kIndexFile + hint};
}

}  // namespace

Result<Checkpoint> open_safetensors_index(const fs::path& index) {
  const std::string where = index.string();
  SLUICE_ASSIGN(const MappedFile text, MappedFile::open(index));
  if (text.bytes() > kMaxIndexBytes)
    return Error{ErrorCode::kInvalid, where + ": an index of " + std::to_string(text.bytes()) +
                                          " bytes is over the limit of " +
                                          std::to_string(kMaxIndexBytes)};
  auto map = parse_index({reinterpret_cast<const char*>(text.data().data()), text.data().size()});
  if (!map) return map.error().in(where);
  auto shards = list_shards(*map);
  if (!shards) return shards.error().in(where);

  std::vector<MappedFile> files;
  std::vector<TensorEntry> entries;
  for (size_t i = 0; i < shards->names.size(); ++i) {
    const fs::path path = index.parent_path() / shards->names[i];
    if (!base::is_there(path))
      return Error{ErrorCode::kNotFound, where + ": the shard " + quote(shards->names[i]) +
                                             " that the index names is missing; download it"};
    SLUICE_ASSIGN(MappedFile file, MappedFile::open(path));
    auto header = parse_safetensors(file.data(), file.bytes());
    if (!header) return header.error().in(path.string());
    files.push_back(std::move(file));
    for (TensorEntry& entry : header->tensors) {
      entry.file = static_cast<int>(i);
      entries.push_back(std::move(entry));
    }
  }
  SLUICE_ASSIGN(Checkpoint checkpoint,
                Checkpoint::assemble(index.parent_path(), std::move(files), std::move(entries)));
  const Status agrees = check_against_index(*map, *shards, checkpoint.entries());
  if (!agrees) return agrees.error().in(where);
  return checkpoint;
}

Result<Checkpoint> open_checkpoint(const fs::path& path) {
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  if (status.type() == fs::file_type::not_found)
    return Error{ErrorCode::kNotFound, path.string() + ": there is no such file or directory"};
  if (failure) return Error{ErrorCode::kIo, path.string() + ": " + failure.message()};
  if (fs::is_directory(status)) {
    // As transformers does: the single file goes first.
    if (base::is_there(path / kSingleFile)) return open_safetensors(path / kSingleFile);
    if (base::is_there(path / kIndexFile)) return open_safetensors_index(path / kIndexFile);
    return no_weights(path);
  }
  if (path.extension() == ".gguf") return open_gguf(path);
  if (path.extension() == ".safetensors") return open_safetensors(path);
  return Error{ErrorCode::kUnsupported,
               path.string() + ": is neither a model directory nor a .gguf or .safetensors file"};
}

}  // namespace sluice::weights
