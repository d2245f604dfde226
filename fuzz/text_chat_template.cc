// A chat template from anyone: it is refused, or renders a small conversation, or meets its limits.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::text::ChatTemplateLimits limits;
  // Small, for one input may take seconds at most, under sanitizers and on a busy machine too: its
  // three renderings (two of them find out what content the template takes) have these each.
  limits.template_bytes = 1 << 14;
  limits.output_bytes = 1 << 18;
  limits.fuel = 5'000;
  limits.wall_ms = 500;
  const auto made = sluice::text::ChatTemplate::from_source(
      std::string_view(reinterpret_cast<const char*>(data), size),
      R"({"bos_token": "<s>", "eos_token": "</s>"})", limits);
  if (!made) return 0;
  sluice::text::ChatOptions options;
  options.local_time_s = 0;
  options.tools_json = R"([{"type":"function","function":{"name":"f","parameters":{}}}])";
  static_cast<void>(
      made->render(R"([{"role":"system","content":"a"},{"role":"user","content":)"
                   R"([{"type":"text","text":"b"}]},{"role":"assistant","content":null}])",
                   options)
          .ok());
  return 0;
}
