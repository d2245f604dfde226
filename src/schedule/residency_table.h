// What a Residency shows: filled from the pages in memory and the measured use, by who runs a model
// and by who replays one.
#pragma once

#include <vector>

#include "memory/expert_use.h"
#include "memory/weight_pages.h"
#include "models/config.h"
#include "schedule/builder.h"

namespace sluice::schedule {

// Not movable: views of it are handed out.
class ResidencyTable {
 public:
  // `page_bytes`: [layer], of an expert's page. Kept experts lie on `near`, the others on `far`.
  // `config` is borrowed. All are far until settle().
  ResidencyTable(const models::ModelConfig& config, std::vector<int64_t> page_bytes, Level near,
                 Level far);
  ResidencyTable(const ResidencyTable&) = delete;
  ResidencyTable& operator=(const ResidencyTable&) = delete;

  // While nothing is in flight, once `pages` has settled. Without `ahead`, and for a page in doubt,
  // no share is stated: such a page does not move before a router asks for it.
  void settle(const memory::WeightPages& pages, const memory::ExpertUse& use, bool ahead);

  // Valid as long as the table; it changes in settle() alone.
  const Residency& residency() const { return residency_; }

 private:
  const models::ModelConfig& config_;
  const std::vector<int64_t> page_bytes_;
  const Level near_, far_;
  std::vector<Level> levels_;  // as in Residency, like the next two
  std::vector<int16_t> order_;
  std::vector<float> share_;
  Residency residency_;
};

}  // namespace sluice::schedule
