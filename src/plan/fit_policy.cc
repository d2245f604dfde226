#include "plan/fit_policy.h"

#include <algorithm>
#include <array>

namespace sluice::plan {
namespace {

Error invalid(const std::string& message) { return {ErrorCode::kInvalid, message}; }

constexpr std::array<std::string_view, 3> kDeviceSchedules = {"cgopipe", "kv_prefetch", "serial"};

bool runs_on_device(const std::string& schedule) {
  return schedule == "auto" ||
         std::ranges::find(kDeviceSchedules, schedule) != kDeviceSchedules.end();
}

Result<Place> asked_place(const char* flag, const std::string& text) {
  for (const Place place : {Place::kHost, Place::kDevice, Place::kAuto}) {
    if (text == name(place)) return place;
  }
  return invalid(std::string(flag) + " is '" + text + "'; auto, host or device is expected");
}

// Each expert where it is sooner done pays where lanes overlap; the others are what that is
// measured against, with their experts where they always are.
Status choose_experts(const FitWishes& w, const FitMachine& machine, Policy& policy) {
  const bool device = machine.device_memory > 0;
  policy.experts_on = policy.schedule == "cgopipe" ? Place::kAuto
                      : device                     ? Place::kDevice
                                                   : Place::kHost;
  if (w.experts_on.empty()) return {};
  SLUICE_ASSIGN(const Place asked, asked_place("--experts-on", w.experts_on));
  if (!device && asked == Place::kDevice) return invalid("--experts-on device needs a --device");
  if (device) policy.experts_on = asked;
  return {};
}

// Only expert_fetch waits for routers, so only there is it worth to be ahead of one by a guess.
Status choose_guessing(const FitWishes& w, Policy& policy) {
  const bool can = policy.schedule == "expert_fetch";
  if (w.guess_experts != "auto" && w.guess_experts != "on" && w.guess_experts != "off") {
    return invalid("--guess-experts is '" + w.guess_experts + "'; auto, on or off is expected");
  }
  if (w.guess_experts == "on" && !can) {
    return invalid("--guess-experts on needs --schedule expert_fetch; " + policy.schedule +
                   " does not wait for what routers ask for");
  }
  policy.guess_experts = can && w.guess_experts != "off";
  return {};
}

Status check_without_device(const FitModel& model, const FitWishes& w, const Policy& policy) {
  if (w.schedule == "cgopipe" || w.schedule == "kv_prefetch") {
    return invalid("--schedule " + w.schedule + " needs a --device");
  }
  if (w.device_memory > 0) return invalid("--device-memory needs a --device");
  if (policy.attention_on == Place::kDevice)
    return invalid("--attention-on device needs a --device");
  if (w.resident_weights < 1.0 && !(reads_experts(w.schedule) && model.pages > 0)) {
    return invalid("--resident-weights below 1 " +
                   std::string(model.pages > 0 ? "needs --schedule layer_stream or expert_fetch"
                                               : "needs experts, of one type in each layer"));
  }
  return {};
}

// cgopipe attends on the host, kv_prefetch on the device, serial wherever it is told to.
Status choose_on_device(const FitModel& model, const FitWishes& w, Policy& policy) {
  if (!runs_on_device(w.schedule)) {
    return invalid("--schedule " + w.schedule +
                   " uses no device; leave --device out, or take cgopipe, kv_prefetch or serial");
  }
  if (model.pages == 0) {
    return invalid("--device needs a model with experts, of one type in each layer");
  }
  const bool asked = w.attention_on != "auto";
  if (w.schedule == "auto") {
    policy.schedule = policy.attention_on == Place::kDevice ? "kv_prefetch" : "cgopipe";
  } else if (w.schedule == "kv_prefetch") {
    if (asked && policy.attention_on == Place::kHost) {
      return invalid(
          "--schedule kv_prefetch attends on the device; take cgopipe for "
          "--attention-on host");
    }
    policy.attention_on = Place::kDevice;
  } else if (w.schedule == "cgopipe" && policy.attention_on == Place::kDevice) {
    return invalid(
        "--schedule cgopipe attends on the host; take kv_prefetch for "
        "--attention-on device");
  }
  return {};
}

// What of the cache is not where attention runs lies one level below.
Status choose_kv(const FitWishes& w, Policy& policy) {
  if (w.kv_on != "host" && w.kv_on != "disk") {
    return invalid("--kv-on is '" + w.kv_on + "'; host or disk is expected");
  }
  const bool attends_there = policy.attention_on == Place::kDevice;
  if (w.kv_on == "disk" && attends_there) {
    return invalid(
        "--kv-on disk is for attention on the host; with --attention-on device what of the cache "
        "is not there lies in host memory");
  }
  if (w.resident_kv && !attends_there && w.kv_on == "host") {
    return invalid(
        "--resident-kv is the share of the KV cache that stays where attention runs; it needs "
        "--attention-on device, or --kv-on disk");
  }
  if (attends_there) policy.resident_kv = w.resident_kv.value_or(0.0);
  return {};
}

}  // namespace

Status check_embedding(const FitModel& model, const FitWishes& w, const FitMachine& machine) {
  if (w.embedding_on != "auto" && w.embedding_on != "host" && w.embedding_on != "disk") {
    return invalid("--embedding-on is '" + w.embedding_on + "'; auto, host or disk is expected");
  }
  if (w.embedding_on != "disk") return {};
  if (machine.device_memory > 0) {
    return invalid(
        "--embedding-on disk is for models whose experts are there too; with a --device "
        "they are in host memory");
  }
  if (model.embedding_bytes == 0) {
    return invalid(
        "--embedding-on disk cannot be: this model's embedding is its head too, of which "
        "every token needs all");
  }
  return {};
}

bool reads_experts(const std::string& schedule) {
  return schedule == "auto" || schedule == "layer_stream" || schedule == "expert_fetch";
}

Status choose_places(const FitModel& model, const FitWishes& w, const FitMachine& machine,
                     Policy& policy) {
  if (w.attention_on != "auto") {
    SLUICE_ASSIGN(policy.attention_on, asked_place("--attention-on", w.attention_on));
  }
  if (machine.device_memory > 0) {
    SLUICE_TRY(choose_on_device(model, w, policy));
  } else {
    SLUICE_TRY(check_without_device(model, w, policy));
  }
  SLUICE_TRY(choose_experts(w, machine, policy));
  SLUICE_TRY(choose_guessing(w, policy));
  return choose_kv(w, policy);
}

}  // namespace sluice::plan
