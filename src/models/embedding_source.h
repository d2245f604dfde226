// Rows of a token embedding, one by one, for a model that leaves the table where it lies.
#pragma once

#include <memory>

#include "models/load_tensor.h"
#include "models/weight_source.h"
#include "weights/mapped_file.h"

namespace sluice::models {

// What a row is read from: the panel that it is packed in, by whole sectors.
int64_t embedding_read_bytes(tensor::DType dtype, int64_t hidden);

// From any thread, several at a time.
class EmbeddingSource {
 public:
  virtual ~EmbeddingSource() = default;

  // Where what row() wants lies, ready to be read with O_DIRECT; bytes are at most
  // embedding_read_bytes(). Nothing: the row is made of what row() finds itself (a checkpoint).
  virtual std::optional<WeightSource::PageAt> at(int64_t row) const = 0;

  // The row as the packed table has it, to `into` [hidden]. `read`: what at() says was read, or
  // room for as much. Errors, with the place: kCorrupt for bytes that are not what was written; a
  // value that quantization cannot express.
  virtual Status row(int64_t row, std::span<std::byte> read, float* into) const = 0;
};

// Of a tensor of an engine directory. Reads all of it, with the team: it is checked, and its parts'
// checksums are taken, for the directory has none of single rows. Borrows the directory.
Result<std::unique_ptr<EmbeddingSource>> engine_embedding(const weights::EngineDirectory& directory,
                                                          const weights::EngineTensor& tensor,
                                                          base::ThreadTeam& team);

// Of a stored tensor, from `offset` of `file`, packed as `dtype`. Borrows all three.
std::unique_ptr<EmbeddingSource> checkpoint_embedding(const weights::MappedFile& file,
                                                      int64_t offset,
                                                      const tensor::TensorView& stored,
                                                      const TensorSlot& slot, tensor::DType dtype);

}  // namespace sluice::models
