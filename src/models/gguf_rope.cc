#include "models/gguf_rope.h"

#include <cmath>
#include <cstring>

#include "models/tensors.h"
#include "weights/quote.h"

namespace sluice::models {
namespace {

// What the format takes where a file is silent.
constexpr double kDefaultTheta = 10000;

// The keys of a writer, not of a reader: their values are transformers' own fields.
void read_yarn(GgufConfig& config, int64_t max_positions, RopeConfig& rope) {
  rope.kind = RopeKind::kYarn;
  rope.original_max_positions =
      config.optional_size("rope.scaling.original_context_length", kMaxPositions)
          .value_or(max_positions);
  const auto or_default = [&](const char* key, double fallback) {
    const double value = config.optional_real(key).value_or(0);
    return value == 0 ? fallback : value;
  };
  rope.beta_fast = or_default("rope.scaling.yarn_beta_fast", 32);
  rope.beta_slow = or_default("rope.scaling.yarn_beta_slow", 1);
  const double magnitude = rope.factor <= 1 ? 1.0 : 0.1 * std::log(rope.factor) + 1.0;
  rope.attention_factor = config.optional_real("rope.scaling.yarn_attn_factor").value_or(magnitude);
  config.only_real("rope.scaling.yarn_ext_factor", {1});
  config.only_real("rope.scaling.yarn_log_multiplier", {0});
}

void read_divisors(GgufConfig& config, int64_t head_dim, RopeConfig& rope) {
  const auto view = config.checkpoint().tensor(kGgufRopeDivisors);
  if (!view) return config.fail(view.error().code, view.error().message);
  if (view->dtype != tensor::DType::kF32 || view->shape != tensor::Shape{head_dim / 2}) {
    return config.fail(ErrorCode::kInvalid, std::string("tensor '") + kGgufRopeDivisors +
                                                "' is not a list of " +
                                                std::to_string(head_dim / 2) + " F32 values");
  }
  if (rope.kind != RopeKind::kDefault) {
    return config.fail(ErrorCode::kUnsupported,
                       std::string("tensor '") + kGgufRopeDivisors +
                           "' beside a scaling of another kind is not supported");
  }
  rope.kind = RopeKind::kDivided;
  rope.divisors.resize(static_cast<size_t>(head_dim / 2));
  std::memcpy(rope.divisors.data(), view->data, rope.divisors.size() * sizeof(float));
  for (const float divisor : rope.divisors) {
    if (!(divisor > 0) || !std::isfinite(divisor))
      return config.fail(ErrorCode::kInvalid, std::string("tensor '") + kGgufRopeDivisors +
                                                  "' holds a value that is not positive");
  }
}

}  // namespace

RopeConfig read_gguf_rope(GgufConfig& config, int64_t head_dim, int64_t max_positions) {
  RopeConfig rope;
  rope.theta = config.optional_real("rope.freq_base").value_or(kDefaultTheta);
  if (!(rope.theta > 1))
    config.fail(ErrorCode::kInvalid, config.quoted("rope.freq_base") + " must be above 1");
  // An absent kind is linear, an absent or zero factor 1; older files have the second key.
  const auto factor = config.optional_real("rope.scaling.factor");
  const auto older = config.optional_real("rope.scale_linear");
  rope.factor = factor.value_or(older.value_or(1));
  if (rope.factor == 0) rope.factor = 1;
  if (!(rope.factor > 0))
    config.fail(ErrorCode::kInvalid, config.quoted("rope.scaling.factor") + " must be positive");
  const std::string kind = config.text_or("rope.scaling.type", "linear");
  if (kind == "yarn") {
    read_yarn(config, max_positions, rope);
  } else if (kind == "linear" && rope.factor != 1) {
    rope.kind = RopeKind::kLinear;
  } else if (kind == "linear" || kind == "none") {
    rope.factor = 1;
  } else {
    config.fail(ErrorCode::kUnsupported, config.quoted("rope.scaling.type") + " is " +
                                             weights::quote(kind) +
                                             "; none, linear and yarn are supported");
  }
  config.only_real("rope.scaling.attn_factor", {1});
  config.only_real("rope.scaling.alpha", {0});
  config.ignore({"rope.scaling.finetuned"});
  if (rope.kind != RopeKind::kYarn) config.ignore({"rope.scaling.original_context_length"});
  if (config.has_tensor(kGgufRopeDivisors)) read_divisors(config, head_dim, rope);
  return rope;
}

}  // namespace sluice::models
