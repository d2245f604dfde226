#include "models/rope_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sluice::models {
namespace {

double needed(HfConfig& scaling, const char* key) {
  const auto value = scaling.optional_real(key);
  if (!value || !(*value > 0)) {
    scaling.fail(
        {ErrorCode::kInvalid, scaling.where() + ": '" + key + "' is missing or not positive"});
    return 1;
  }
  return *value;
}

// An absent, null or zero value stands for `fallback`, as in transformers.
double real_or_default(HfConfig& scaling, const char* key, double fallback) {
  const double value = scaling.optional_real(key).value_or(0);
  return value == 0 ? fallback : value;
}

void read_yarn(HfConfig& scaling, int64_t max_positions, RopeConfig& rope) {
  rope.factor = scaling.has("factor") ? needed(scaling, "factor")
                                      : static_cast<double>(max_positions) /
                                            static_cast<double>(rope.original_max_positions);
  scaling.ignore({"factor"});
  rope.beta_fast = real_or_default(scaling, "beta_fast", 32);
  rope.beta_slow = real_or_default(scaling, "beta_slow", 1);
  rope.truncate = scaling.flag_or("truncate", true);
  const auto magnitude = [&](double m) {
    return rope.factor <= 1 ? 1.0 : 0.1 * m * std::log(rope.factor) + 1.0;
  };
  const double mscale = scaling.optional_real("mscale").value_or(0);
  const double mscale_all_dim = scaling.optional_real("mscale_all_dim").value_or(0);
  const auto given = scaling.optional_real("attention_factor");
  if (given) {
    rope.attention_factor = *given;
  } else if (mscale != 0 && mscale_all_dim != 0) {
    rope.attention_factor = magnitude(mscale) / magnitude(mscale_all_dim);
  } else {
    rope.attention_factor = magnitude(1);
  }
}

void read_kind(HfConfig& scaling, const std::string& kind, int64_t max_positions,
               RopeConfig& rope) {
  if (kind == "default") {
    rope.kind = RopeKind::kDefault;
    scaling.ignore({"factor", "original_max_position_embeddings"});
  } else if (kind == "linear") {
    rope.kind = RopeKind::kLinear;
    rope.factor = needed(scaling, "factor");
    scaling.ignore({"original_max_position_embeddings"});
  } else if (kind == "dynamic") {
    rope.kind = RopeKind::kDynamic;
    rope.factor = needed(scaling, "factor");
    rope.original_max_positions = max_positions;
    scaling.ignore({"original_max_position_embeddings"});
  } else if (kind == "llama3") {
    rope.kind = RopeKind::kLlama3;
    rope.factor = needed(scaling, "factor");
    rope.low_freq_factor = needed(scaling, "low_freq_factor");
    rope.high_freq_factor = needed(scaling, "high_freq_factor");
  } else if (kind == "yarn") {
    rope.kind = RopeKind::kYarn;
    read_yarn(scaling, max_positions, rope);
  } else {
    scaling.fail({ErrorCode::kUnsupported,
                  scaling.where() + ": rope type '" + kind +
                      "' is not supported; default, linear, dynamic, llama3 and yarn are"});
  }
}

float default_frequency(double theta, int i, int head_dim) {
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
  return 1.0f / std::pow(static_cast<float>(theta), exponent);
}

float llama3_frequency(const RopeConfig& rope, float frequency) {
  const double wavelength = 2 * std::numbers::pi / static_cast<double>(frequency);
  const auto length = static_cast<double>(rope.original_max_positions);
  if (wavelength < length / rope.high_freq_factor) return frequency;
  if (wavelength > length / rope.low_freq_factor)
    return frequency / static_cast<float>(rope.factor);
  const double smooth =
      (length / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return static_cast<float>((1 - smooth) * static_cast<double>(frequency) / rope.factor +
                            smooth * static_cast<double>(frequency));
}

void yarn_frequencies(const RopeConfig& rope, int head_dim, float* inv_freq) {
  const auto correction = [&](double rotations) {
    return head_dim *
           std::log(static_cast<double>(rope.original_max_positions) /
                    (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
  };
  double low = correction(rope.beta_fast);
  double high = correction(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(head_dim - 1));
  if (low == high) high += 0.001;
  for (int i = 0; i < head_dim / 2; ++i) {
    const float ramp = std::clamp((static_cast<float>(i) - static_cast<float>(low)) /
                                      (static_cast<float>(high) - static_cast<float>(low)),
                                  0.0f, 1.0f);
    const float frequency = default_frequency(rope.theta, i, head_dim);
    inv_freq[i] = frequency / static_cast<float>(rope.factor) * ramp + frequency * (1.0f - ramp);
  }
}

}  // namespace

RopeConfig read_rope(HfConfig& config, double default_theta, int64_t max_positions) {
  RopeConfig rope;
  const Json* object = config.object("rope_scaling");
  const Json* parameters = config.object("rope_parameters");
  if (object == nullptr) object = parameters;
  const auto top_theta = config.optional_real("rope_theta");
  const auto top_original = config.optional_size("original_max_position_embeddings");
  rope.theta = top_theta.value_or(default_theta);
  if (const auto partial = config.optional_real("partial_rotary_factor");
      partial && *partial != 1) {
    config.fail({ErrorCode::kUnsupported,
                 config.where() + ": 'partial_rotary_factor' other than 1 is not supported"});
  }
  if (object == nullptr) return rope;

  HfConfig scaling(
      *object, config.where() + (object == parameters ? ": rope_parameters" : ": rope_scaling"));
  rope.theta = scaling.optional_real("rope_theta").value_or(rope.theta);
  const auto original = scaling.optional_size("original_max_position_embeddings");
  rope.original_max_positions = top_original.value_or(original.value_or(max_positions));
  const std::string older = scaling.text_or("type", "default");
  read_kind(scaling, scaling.text_or("rope_type", older), max_positions, rope);
  if (const auto partial = scaling.optional_real("partial_rotary_factor");
      partial && *partial != 1) {
    scaling.fail({ErrorCode::kUnsupported,
                  scaling.where() + ": 'partial_rotary_factor' other than 1 is not supported"});
  }
  if (auto status = scaling.finish(); !status) config.fail(status.error());
  if (rope.kind == RopeKind::kDefault || rope.kind == RopeKind::kLinear)
    rope.original_max_positions = 0;
  if (!(rope.theta > 1))
    config.fail({ErrorCode::kInvalid, config.where() + ": 'rope_theta' must be above 1"});
  return rope;
}

int64_t scaled_positions(const RopeConfig& rope, int64_t max_positions) {
  const auto stretched = [&](int64_t from) {
    const double positions = static_cast<double>(from) * rope.factor;
    // A factor that was refused may be any number, or none.
    if (!(positions >= 1)) return max_positions;
    return std::max(max_positions,
                    static_cast<int64_t>(std::min(positions, static_cast<double>(kMaxPositions))));
  };
  switch (rope.kind) {
    case RopeKind::kDefault:
    case RopeKind::kLlama3:
    case RopeKind::kDivided:
      return max_positions;
    case RopeKind::kLinear:
    case RopeKind::kDynamic:
      return stretched(max_positions);
    case RopeKind::kYarn:
      return stretched(rope.original_max_positions);
  }
  base::check_failed("known rope", "a RopeKind outside its enum", __FILE__, __LINE__);
}

bool rope_depends_on_length(const RopeConfig& rope, int64_t length) {
  return rope.kind == RopeKind::kDynamic && length > rope.original_max_positions;
}

void rope_frequencies(const RopeConfig& rope, int head_dim, int64_t length, float* inv_freq) {
  if (rope.kind == RopeKind::kYarn) return yarn_frequencies(rope, head_dim, inv_freq);
  double theta = rope.theta;
  if (rope_depends_on_length(rope, length)) {
    const double stretch = rope.factor * static_cast<double>(length) /
                               static_cast<double>(rope.original_max_positions) -
                           (rope.factor - 1);
    theta *= std::pow(stretch, static_cast<double>(head_dim) / (head_dim - 2));
  }
  for (int i = 0; i < head_dim / 2; ++i) {
    const float frequency = default_frequency(theta, i, head_dim);
    switch (rope.kind) {
      case RopeKind::kDefault:
      case RopeKind::kDynamic:
      case RopeKind::kYarn:
        inv_freq[i] = frequency;
        break;
      case RopeKind::kLinear:
        inv_freq[i] = frequency / static_cast<float>(rope.factor);
        break;
      case RopeKind::kLlama3:
        inv_freq[i] = llama3_frequency(rope, frequency);
        break;
      case RopeKind::kDivided:
        inv_freq[i] = frequency / rope.divisors[static_cast<size_t>(i)];
        break;
    }
  }
}

}  // namespace sluice::models
