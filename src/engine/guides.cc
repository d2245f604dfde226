#include "engine/guides.h"

namespace sluice::engine {
namespace {

text::GuideSpec to_text(const GuideSpec& spec) {
  using Kind = text::GuideSpec::Kind;
  if (const auto* schema = std::get_if<GuideJsonSchema>(&spec)) {
    return {.kind = Kind::kJsonSchema, .source = schema->schema};
  }
  if (const auto* regex = std::get_if<GuideRegex>(&spec)) {
    return {.kind = Kind::kRegex, .source = regex->pattern};
  }
  if (const auto* choice = std::get_if<GuideChoice>(&spec)) {
    return {.kind = Kind::kChoice, .choices = choice->choices};
  }
  return {.kind = Kind::kJsonObject};
}

// Unlike specs have unlike keys: every part is preceded by its length.
std::string key_of(const text::GuideSpec& spec) {
  std::string key = std::to_string(static_cast<int>(spec.kind));
  const auto add = [&](const std::string& part) {
    key += ":" + std::to_string(part.size()) + ":" + part;
  };
  add(spec.source);
  for (const std::string& choice : spec.choices) add(choice);
  return key;
}

}  // namespace

Result<std::optional<text::Guide>> Guides::make(const GuideSpec& spec) {
  if (std::holds_alternative<std::monostate>(spec)) return std::optional<text::Guide>();
  if (!factory_) {
    SLUICE_ASSIGN(factory_, text::GuideFactory::make(*tokenizer_, vocab_, eos_));
  }
  // White space stays as the model was trained to write it: ", " and ": ".
  text::GuideSpec wanted = to_text(spec);
  wanted.whitespace_flexible = false;
  const std::string key = key_of(wanted);
  const auto found = kept_.find(key);
  if (found != kept_.end()) return std::optional<text::Guide>(found->second);
  SLUICE_ASSIGN(text::Guide guide, factory_->guide(wanted));
  if (kept_.size() >= kMaxKept) kept_.erase(kept_.begin());
  kept_.emplace(key, guide);
  return std::optional<text::Guide>(std::move(guide));
}

}  // namespace sluice::engine
