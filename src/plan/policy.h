// What the planner searches (MoE-Lightning's policy and the names users know it by).
#pragma once

#include <cstdint>
#include <string>

namespace sluice::plan {

// kAuto: where the cost statement says that it is sooner, each time anew; of experts only.
enum class Place : uint8_t { kDevice, kHost, kAuto };

const char* name(Place place);

struct Policy {
  std::string schedule = "resident";  // a builder's name in the schedule registry
  int64_t batch = 0;                  // N: sequences in flight, over all micro-batches
  int64_t micro_batch = 0;            // mu: sequences of one micro-batch
  Place attention_on = Place::kHost;  // A_g
  Place experts_on = Place::kHost;    // F_g
  double resident_weights = 1.0;      // r_w
  double resident_kv = 1.0;           // r_c, where attention runs; the rest one level below
  bool guess_experts = false;         // the next layer's, read before its router has spoken
  bool operator==(const Policy&) const = default;

  bool kv_on_disk() const { return attention_on == Place::kHost && resident_kv < 1; }
};

}  // namespace sluice::plan
