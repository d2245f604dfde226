#include "weights/safetensors_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>
#include <utility>

#include "base/json.h"
#include "weights/checkpoint.h"
#include "weights/quote.h"
#include "weights/safetensors.h"

namespace sluice::weights {
namespace {

std::filesystem::path partial(const std::filesystem::path& path) {
  return std::filesystem::path(path.string() + ".partial");
}

Error failed(const std::filesystem::path& path, const char* what) {
  const int why = errno;
  const bool full = why == ENOSPC || why == EDQUOT;
  return {full ? ErrorCode::kNoRoom : ErrorCode::kIo, path.string() + ": cannot be " + what + ": " +
                                                          std::strerror(why) +
                                                          (full ? "; make space" : "")};
}

bool overflows(const TensorDecl& tensor) {
  int64_t bytes = tensor::info(tensor.dtype).block_bytes;
  return std::ranges::any_of(tensor.dims, [&](int64_t dim) {
    return dim < 0 || __builtin_mul_overflow(bytes, dim, &bytes);
  });
}

// The header with its length before it and spaces after, so that the data begins at a multiple of
// eight; and the size of the data.
struct Layout {
  std::string head;
  int64_t data_bytes = 0;
};

Result<Layout> lay_out(std::span<const TensorDecl> tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::string text = base::to_line(header);
  text.pop_back();
  Layout layout;
  std::set<std::string_view> names;
  for (const TensorDecl& tensor : tensors) {
    const auto refuse = [&](const std::string& why) {
      return Error{ErrorCode::kInvalid, "tensor " + quote(tensor.name) + " " + why};
    };
    if (!names.insert(tensor.name).second) return refuse("is declared twice");
    if (overflows(tensor)) return refuse("has the impossible shape " + to_string(tensor.dims));
    if (layout.data_bytes % tensor::info(tensor.dtype).block_bytes != 0)
      return refuse("would not be aligned; declare tensors of wider elements first");
    const int64_t begin = layout.data_bytes;
    if (__builtin_add_overflow(begin, tensor.bytes(), &layout.data_bytes))
      return refuse("takes the file beyond 2^63 bytes");
    Json fields = {{"dtype", stored_as(tensor.dtype).name},
                   {"shape", tensor.dims},
                   {"data_offsets", {begin, layout.data_bytes}}};
    // Appended as text: an ordered object looks through all its keys for each new one.
    if (text.size() > 1) text += ',';
    text += base::to_line(Json(tensor.name)) + ":" + base::to_line(fields);
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > static_cast<size_t>(kMaxSafetensorsHeaderBytes))
    return Error{ErrorCode::kInvalid, "the header would be over the format's limit of " +
                                          std::to_string(kMaxSafetensorsHeaderBytes) + " bytes"};
  for (size_t i = 0; i < 8; ++i) layout.head += static_cast<char>((text.size() >> (8 * i)) & 0xffu);
  layout.head += text;
  return layout;
}

}  // namespace

int64_t TensorDecl::bytes() const {
  int64_t elements = 1;
  for (const int64_t dim : dims) elements *= dim;
  return tensor::storage_bytes(dtype, elements);
}

Result<SafetensorsWriter> SafetensorsWriter::create(
    const std::filesystem::path& path, std::vector<TensorDecl> tensors,
    const std::map<std::string, std::string>& metadata) {
  auto layout = lay_out(tensors, metadata);
  if (!layout) return layout.error().in(path.string());
  const int fd = ::open(partial(path).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                        S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  if (fd < 0) return failed(partial(path), "created");
  SafetensorsWriter writer(path, fd, layout->data_bytes);
  SLUICE_TRY(writer.write_all(std::as_bytes(std::span(layout->head))));
  return writer;
}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      bytes_left_(std::exchange(other.bytes_left_, 0)) {}

SafetensorsWriter& SafetensorsWriter::operator=(SafetensorsWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(bytes_left_, other.bytes_left_);
  return *this;
}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial(path_).c_str());
}

Status SafetensorsWriter::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(partial(path_), "written");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status SafetensorsWriter::append(std::span<const std::byte> data) {
  SLUICE_CHECK(fd_ >= 0, "append() comes before finish()");
  SLUICE_CHECK(static_cast<int64_t>(data.size()) <= bytes_left_,
               "no more data than the tensors declared");
  SLUICE_TRY(write_all(data));
  bytes_left_ -= static_cast<int64_t>(data.size());
  return {};
}

Status SafetensorsWriter::finish(bool durable) {
  SLUICE_CHECK(fd_ >= 0 && bytes_left_ == 0, "finish() comes once, after all data");
  const std::filesystem::path file = partial(path_);
  // On an error the descriptor stays, and the destructor removes the file.
  if (durable && ::fsync(fd_) != 0) return failed(file, "made durable");
  if (::rename(file.c_str(), path_.c_str()) != 0) return failed(path_, "named");
  if (::close(std::exchange(fd_, -1)) != 0) return failed(path_, "closed");
  return {};
}

std::vector<ShardDecl> plan_shards(std::vector<TensorDecl> tensors, int64_t max_shard_bytes) {
  std::vector<ShardDecl> shards(1);
  int64_t bytes = 0;
  for (TensorDecl& tensor : tensors) {
    if (!shards.back().tensors.empty() && tensor.bytes() > max_shard_bytes - bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    bytes += tensor.bytes();
    shards.back().tensors.push_back(std::move(tensor));
  }
  shards.front().file_name = "model.safetensors";
  if (shards.size() == 1) return shards;
  for (size_t i = 0; i < shards.size(); ++i) {
    std::array<char, 64> name{};
    std::snprintf(name.data(), name.size(), "model-%05zu-of-%05zu.safetensors", i + 1,
                  shards.size());
    shards[i].file_name = name.data();
  }
  return shards;
}

Status write_index(const std::filesystem::path& directory, std::span<const ShardDecl> shards) {
  if (shards.size() <= 1) return {};
  int64_t total_bytes = 0;
  std::string map;
  for (const ShardDecl& shard : shards) {
    for (const TensorDecl& tensor : shard.tensors) {
      total_bytes += tensor.bytes();
      map += (map.empty() ? "\n    " : ",\n    ") + base::to_line(Json(tensor.name)) + ": " +
             base::to_line(Json(shard.file_name));
    }
  }
  const std::filesystem::path path = directory / "model.safetensors.index.json";
  const std::string text = "{\n  \"metadata\": {\"total_size\": " + std::to_string(total_bytes) +
                           "},\n  \"weight_map\": {" + map + "\n  }\n}\n";
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) return failed(path, "created");
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  if (!written || !closed) return failed(path, "written");
  return {};
}

}  // namespace sluice::weights
