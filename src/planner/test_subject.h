// For tests: Mixtral 8x7B on a machine of whole numbers, a device of 100 GB/s and 10 TFLOP/s behind
// a link of 10 GB/s, beside a host of 50 GB/s and 1 TFLOP/s; all has room everywhere.
#pragma once

#include "models/shape.h"
#include "planner/hrm.h"

namespace sluice::planner {

struct TestSubject {
  models::ModelConfig model = models::known_shape("mixtral-8x7b").value();
  Machine machine;
  Layers layers = layers_of(model, {});
  WeightSizes weights = weight_sizes(model, "none").value();

  TestSubject() {
    machine.devices = 1;
    machine.device_memory = machine.host_memory = int64_t{1} << 40;
    machine.rates(schedule::Lane::kDeviceCompute) = {.flops_per_second = 1e13,
                                                     .bytes_per_second = 1e11};
    machine.rates(schedule::Lane::kHostCompute) = {.flops_per_second = 1e12,
                                                   .bytes_per_second = 5e10};
    set_link(1e10);
  }
  void set_link(double bytes_per_second) {
    machine.rates(schedule::Lane::kHostToDevice) = {.bytes_per_second = bytes_per_second};
    machine.rates(schedule::Lane::kDeviceToHost) = {.bytes_per_second = bytes_per_second};
  }
  Subject subject() const { return {model, machine, layers, weights}; }
};

}  // namespace sluice::planner
