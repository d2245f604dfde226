// Where a model's packed weights come from: a checkpoint, whose tensors are packed as they are
// asked for, or an engine directory, in which they lie ready.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_team.h"
#include "models/expert_page.h"
#include "models/family.h"
#include "models/load_options.h"
#include "models/quantization.h"
#include "weights/checkpoint.h"
#include "weights/engine_directory.h"

namespace sluice::models {

constexpr int64_t kLoadAlignment = kExpertPageAlignment;

class EmbeddingSource;

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // All tensors in the order in which a forward pass reads them; an index into it names one below.
  virtual const std::vector<TensorSlot>& table() const = 0;
  // As packed. Vectors are f32.
  virtual tensor::DType dtype(size_t tensor) const = 0;
  // In which most of the matrices' weights are stored in the checkpoint, before any quantization.
  virtual tensor::DType stored() const = 0;

  // That tensor, packed, into `into` [bytes_in_memory(table()[tensor], dtype(tensor))], aligned to
  // kernels::kPackAlignment. Whoever goes through the table in order has the next tensors read
  // ahead and memory given back behind. One caller at a time. Errors name file and tensor: a value
  // that quantization cannot express, a checksum that does not match.
  virtual Status read(size_t tensor, std::byte* into, base::ThreadTeam& team) = 0;

  // From where read() would write on: what load() may overwrite, at least what read() writes. If
  // the next tensor of the table goes behind it, and the first to a multiple of kLoadAlignment, all
  // lie as load() wants them; tensors may be left out, but of an expert all or none.
  virtual int64_t room(size_t tensor) const = 0;
  // Those tensors, in the order of the table, each as read() gives it, at the disk's pace: many
  // large reads under way while all threads work on what has come. What read() refuses, what
  // io::Reader says.
  struct Wanted {
    size_t tensor = 0;
    std::byte* into = nullptr;
  };
  virtual Status load(std::span<const Wanted> wanted, base::ThreadTeam& team,
                      const LoadOptions& options) = 0;

  // What follows is about layers with experts (FfnConfig::is_moe) and their experts; any other
  // argument is a bug. Refused where the experts of a layer are not all of the same types, as
  // checkpoints may have them: such a model has no pages, and nothing below may be called.
  virtual Status check_pages() const = 0;
  // How each expert of that layer lies.
  virtual ExpertPage page(int layer) const = 0;
  // One whole page into `into` [page(layer).bytes], aligned to kernels::kPackAlignment. With a team
  // one caller at a time; with null on the calling thread alone, which many may do at once. Checks
  // what read() checks.
  virtual Status read_page(int layer, int expert, std::byte* into, base::ThreadTeam* team) = 0;
  // A hint that it will be read soon: the disk may begin.
  virtual void prefetch_page(int layer, int expert) const = 0;

  // Where a page lies ready to be read with O_DIRECT: offset and bytes are multiples of
  // kExpertPageAlignment.
  struct PageAt {
    int file = 0;  // index into files()
    int64_t offset = 0;
    int64_t bytes = 0;  // page(layer).bytes
    bool operator==(const PageAt&) const = default;
  };
  // Nothing: it must be made by read_page (a checkpoint).
  virtual std::optional<PageAt> page_at(int layer, int expert) const = 0;
  // Empty for a checkpoint.
  virtual std::span<const std::filesystem::path> files() const = 0;
  // CRC-32C of a page that page_at() knows; what check_page() compares with.
  virtual uint32_t page_checksum(int layer, int expert) const = 0;

  // The token embedding's rows one by one (embedding_source.h), which borrow this. Errors: what
  // read() refuses.
  virtual Result<std::unique_ptr<EmbeddingSource>> embedding(base::ThreadTeam& team) const = 0;
};

// For whoever has read a page from where page_at() says it lies: kCorrupt, with file, layer, expert
// and place, if `page` [page(layer).bytes] is not what was written.
Status check_page(const WeightSource& source, int layer, int expert,
                  std::span<const std::byte> page);

// Both borrow what they are made of, which must outlive them.
// Errors: tensors missing, unexpected, or of another shape, by name; a tied head that differs from
// the embedding.
Result<std::unique_ptr<WeightSource>> checkpoint_source(const ModelConfig& config,
                                                        const Family& family,
                                                        const weights::Checkpoint& checkpoint,
                                                        const Quantization& quantization = {});
// Errors: a manifest that describes another model than `config`, by tensor.
Result<std::unique_ptr<WeightSource>> engine_source(const ModelConfig& config, const Family& family,
                                                    const weights::EngineDirectory& directory);

}  // namespace sluice::models
