// An engine directory as a source of weights: they lie in it as they are wanted, and are checked
// and copied.
#include <algorithm>
#include <cstring>
#include <map>

#include "base/rounding.h"
#include "models/checkpoint_tensors.h"
#include "models/embedding_source.h"
#include "models/engine_load.h"
#include "models/load_tensor.h"
#include "models/read_ahead.h"
#include "models/weight_source.h"
#include "weights/quote.h"

namespace sluice::models {
namespace {

using weights::EngineDirectory;
using weights::EngineExperts;
using weights::EngineTensor;

// Copies on all of the team, or on this thread.
void copy(std::span<const std::byte> from, std::byte* to, base::ThreadTeam* team) {
  constexpr size_t kPiece = size_t{1} << 20;
  if (team == nullptr || from.size() <= kPiece) {
    std::memcpy(to, from.data(), from.size());
    return;
  }
  team->parallel_for(static_cast<int64_t>(base::div_up(from.size(), kPiece)), [&](int64_t i) {
    const size_t begin = static_cast<size_t>(i) * kPiece;
    std::memcpy(to + begin, from.data() + begin, std::min(kPiece, from.size() - begin));
  });
}

class EngineSource final : public WeightSource {
 public:
  EngineSource(const EngineDirectory& directory, std::vector<TensorSlot> table)
      : directory_(directory), table_(std::move(table)) {}

  Status open(const ModelConfig& config);

  const std::vector<TensorSlot>& table() const override { return table_; }
  tensor::DType dtype(size_t tensor) const override;
  tensor::DType stored() const override { return directory_.manifest().stored; }
  Status read(size_t tensor, std::byte* into, base::ThreadTeam& team) override;
  int64_t room(size_t tensor) const override;
  Status load(std::span<const Wanted> wanted, base::ThreadTeam& team,
              const LoadOptions& options) override;
  Status check_pages() const override { return {}; }
  ExpertPage page(int layer) const override { return pages_[static_cast<size_t>(layer)]; }
  Status read_page(int layer, int expert, std::byte* into, base::ThreadTeam* team) override;
  void prefetch_page(int layer, int expert) const override;
  std::optional<PageAt> page_at(int layer, int expert) const override;
  std::span<const std::filesystem::path> files() const override { return directory_.paths(); }
  uint32_t page_checksum(int layer, int expert) const override {
    return experts_of(layer).crc32c[static_cast<size_t>(expert)];
  }
  Result<std::unique_ptr<EmbeddingSource>> embedding(base::ThreadTeam& team) const override {
    return engine_embedding(directory_, *tensors_[embedding_slot(table_)], team);
  }

 private:
  Status find_experts(const ModelConfig& config);
  Status check_tensor(const TensorSlot& slot, const EngineTensor* found) const;
  Error wrong(const std::string& what) const {
    return {ErrorCode::kCorrupt, directory_.root().string() + ": " + what +
                                     ", and the model's config says otherwise; build it again"};
  }
  const EngineExperts& experts_of(int layer) const {
    SLUICE_CHECK(experts_[static_cast<size_t>(layer)] != nullptr, "a layer that has experts");
    return *experts_[static_cast<size_t>(layer)];
  }
  // Where one of an expert's three lies in its page.
  int64_t offset_in_page(const TensorSlot& tensor) const {
    const ExpertPage& page = pages_[static_cast<size_t>(tensor.layer)];
    if (tensor.slot == Slot::kGate) return 0;
    return tensor.slot == Slot::kUp ? page.up_offset : page.down_offset;
  }
  // The group that holds the tensor: for read(), which goes through the table in order.
  void prefetch(size_t tensor) const;
  void drop(int file, int64_t offset, int64_t bytes) const {
    directory_.file(file).drop(offset, bytes);
  }

  const EngineDirectory& directory_;
  std::vector<TensorSlot> table_;
  std::vector<const EngineTensor*> tensors_;   // by tensor; null for an expert's
  std::vector<const EngineExperts*> experts_;  // by layer; null for a dense one
  std::vector<ExpertPage> pages_;              // by layer
  ReadAhead ahead_;
  int checked_layer_ = -1, checked_expert_ = -1;  // whose page read() has checked last
};

Status EngineSource::find_experts(const ModelConfig& config) {
  experts_.resize(config.layers.size());
  pages_.resize(config.layers.size());
  for (const EngineExperts& experts : directory_.manifest().experts) {
    if (experts.layer >= config.layer_count())
      return wrong("it has experts of layer " + std::to_string(experts.layer));
    experts_[static_cast<size_t>(experts.layer)] = &experts;
  }
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const FfnConfig& ffn = config.layers[i].ffn;
    const int64_t there = experts_[i] == nullptr ? 0 : experts_[i]->experts();
    if (there != ffn.experts)
      return wrong("layer " + std::to_string(i) + " has " + std::to_string(there) + " experts");
    if (there == 0) continue;
    const EngineExperts& experts = *experts_[i];
    const bool sizes = experts.hidden == config.hidden && experts.inter == ffn.inter;
    // Else a page cannot even be reckoned with.
    const auto whole = [](tensor::DType dtype, int64_t cols) {
      return cols % tensor::info(dtype).block_elements == 0;
    };
    const bool blocks = experts.gate == experts.up && whole(experts.gate, config.hidden) &&
                        whole(experts.down, ffn.inter);
    if (sizes && blocks)
      pages_[i] = expert_page(config.hidden, ffn.inter, experts.gate, experts.up, experts.down);
    if (!sizes || !blocks || pages_[i].up_offset != experts.up_offset ||
        pages_[i].down_offset != experts.down_offset || pages_[i].bytes != experts.page_bytes)
      return wrong("the pages of layer " + std::to_string(i) + " are of " +
                   std::to_string(experts.page_bytes) + " bytes, of other parts");
  }
  return {};
}

Status EngineSource::check_tensor(const TensorSlot& slot, const EngineTensor* found) const {
  const std::string what = "tensor " + weights::quote(slot.name);
  if (found == nullptr) return wrong(what + " is missing");
  const std::vector<int64_t> dims(slot.shape.dims.begin(),
                                  slot.shape.dims.begin() + slot.shape.rank);
  const bool floats = !slot.is_matrix() || slot.slot == Slot::kRouter;
  if (found->dims != dims || (floats && tensor::is_block_format(found->dtype)) ||
      found->dims.back() % tensor::info(found->dtype).block_elements != 0 ||
      bytes_in_memory(slot, found->dtype) != found->bytes) {
    return wrong(what + " has " + std::to_string(found->bytes) + " bytes of " +
                 tensor::info(found->dtype).name + " in " + weights::to_string(found->dims));
  }
  return {};
}

Status EngineSource::open(const ModelConfig& config) {
  SLUICE_TRY(find_experts(config));
  std::map<std::string_view, const EngineTensor*> by_name;
  for (const EngineTensor& tensor : directory_.manifest().tensors) by_name[tensor.name] = &tensor;
  std::vector<int64_t> ends;
  for (const TensorSlot& slot : table_) {
    const EngineTensor* found = nullptr;
    if (!slot.is_expert()) {
      const auto at = by_name.find(slot.name);
      if (at != by_name.end()) found = at->second;
      SLUICE_TRY(check_tensor(slot, found));
      by_name.erase(at);
    }
    const int64_t before = ends.empty() ? 0 : ends.back();
    ends.push_back(before + (found != nullptr ? found->bytes
                                              : pages_[static_cast<size_t>(slot.layer)].bytes / 3));
    tensors_.push_back(found);
  }
  if (!by_name.empty())
    return wrong("it has tensor " + weights::quote(by_name.begin()->second->name));
  ahead_ = ReadAhead(std::move(ends));
  return {};
}

tensor::DType EngineSource::dtype(size_t tensor) const {
  if (tensors_[tensor] != nullptr) return tensors_[tensor]->dtype;
  const TensorSlot& slot = table_[tensor];
  const ExpertPage& page = pages_[static_cast<size_t>(slot.layer)];
  if (slot.slot == Slot::kGate) return page.gate;
  return slot.slot == Slot::kUp ? page.up : page.down;
}

void EngineSource::prefetch(size_t tensor) const {
  const TensorSlot& slot = table_[tensor];
  if (const EngineTensor* found = tensors_[tensor]; found != nullptr) {
    directory_.file(found->file).prefetch(found->offset, found->bytes);
  } else if (slot.slot == Slot::kGate) {
    prefetch_page(slot.layer, slot.expert);
  }
}

void EngineSource::prefetch_page(int layer, int expert) const {
  const weights::PageRun at = weights::page_run_of(experts_of(layer), expert);
  directory_.file(at.file).prefetch(at.offset, experts_of(layer).page_bytes);
}

Status EngineSource::read(size_t tensor, std::byte* into, base::ThreadTeam& team) {
  ahead_.reach(tensor, [this](size_t next) { prefetch(next); });
  if (const EngineTensor* found = tensors_[tensor]; found != nullptr) {
    SLUICE_TRY(directory_.check(*found));
    copy(directory_.view(*found), into, &team);
    drop(found->file, found->offset, found->bytes);
    return {};
  }
  const TensorSlot& slot = table_[tensor];
  const EngineExperts& experts = experts_of(slot.layer);
  // The checksum is of the whole page, which its three tensors share.
  if (checked_layer_ != slot.layer || checked_expert_ != slot.expert) {
    SLUICE_TRY(directory_.check(experts, slot.expert));
    checked_layer_ = slot.layer;
    checked_expert_ = slot.expert;
  }
  const auto bytes = static_cast<size_t>(bytes_in_memory(slot, dtype(tensor)));
  const auto begin = static_cast<size_t>(offset_in_page(slot));
  copy(directory_.page(experts, slot.expert).subspan(begin, bytes), into, &team);
  if (slot.slot != Slot::kDown) return {};
  const weights::PageRun at = weights::page_run_of(experts, slot.expert);
  drop(at.file, at.offset, experts.page_bytes);
  return {};
}

// An expert's three lie as in their page, other tensors by whole sectors.
int64_t EngineSource::room(size_t tensor) const {
  const TensorSlot& slot = table_[tensor];
  if (tensors_[tensor] != nullptr)
    return base::round_up(tensors_[tensor]->bytes, weights::kEngineAlignment);
  const ExpertPage& page = pages_[static_cast<size_t>(slot.layer)];
  if (slot.slot == Slot::kGate) return page.up_offset;
  return slot.slot == Slot::kUp ? page.down_offset - page.up_offset : page.bytes - page.down_offset;
}

Status EngineSource::load(std::span<const Wanted> wanted, base::ThreadTeam& team,
                          const LoadOptions& options) {
  std::vector<EnginePart> parts;
  std::vector<size_t> first;  // by part: its tensor, of an expert gate
  for (const Wanted& one : wanted) {
    const TensorSlot& slot = table_[one.tensor];
    if (const EngineTensor* found = tensors_[one.tensor]; found != nullptr) {
      parts.push_back({found->file, found->offset, found->bytes, found->crc32c, one.into});
    } else if (slot.slot == Slot::kGate) {
      const EngineExperts& experts = experts_of(slot.layer);
      const weights::PageRun at = weights::page_run_of(experts, slot.expert);
      parts.push_back({at.file, at.offset, experts.page_bytes,
                       experts.crc32c[static_cast<size_t>(slot.expert)], one.into});
    } else {
      SLUICE_CHECK(!first.empty() && table_[first.back()].expert == slot.expert &&
                       one.into == parts.back().into + offset_in_page(slot),
                   "an expert's three lie as in their page");
      continue;
    }
    first.push_back(one.tensor);
  }
  return load_engine(parts, directory_.files(), team, options, [&](size_t part) {
    const TensorSlot& slot = table_[first[part]];
    const std::filesystem::path& file = directory_.file(parts[part].file).path();
    if (tensors_[first[part]] != nullptr)
      return weights::damaged_tensor(file, *tensors_[first[part]]);
    return weights::damaged_page(file, slot.layer, slot.expert, parts[part].offset,
                                 parts[part].bytes);
  });
}

Status EngineSource::read_page(int layer, int expert, std::byte* into, base::ThreadTeam* team) {
  const EngineExperts& experts = experts_of(layer);
  SLUICE_TRY(directory_.check(experts, expert));
  copy(directory_.page(experts, expert), into, team);
  const weights::PageRun at = weights::page_run_of(experts, expert);
  drop(at.file, at.offset, experts.page_bytes);
  return {};
}

std::optional<WeightSource::PageAt> EngineSource::page_at(int layer, int expert) const {
  const weights::PageRun at = weights::page_run_of(experts_of(layer), expert);
  return PageAt{at.file, at.offset, experts_of(layer).page_bytes};
}

}  // namespace

Result<std::unique_ptr<WeightSource>> engine_source(const ModelConfig& config, const Family& family,
                                                    const EngineDirectory& directory) {
  const auto naming = parse_naming(directory.manifest().names);
  SLUICE_CHECK(naming.has_value(), "a manifest's names are known");
  auto source =
      std::make_unique<EngineSource>(directory, tensor_table(config, names_of(*naming, family)));
  SLUICE_TRY(source->open(config));
  return std::unique_ptr<WeightSource>(std::move(source));
}

}  // namespace sluice::models
