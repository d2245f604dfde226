#include "text/guide.h"

#include "base/check.h"
#include "base/json.h"
#include "text/handle.h"

namespace sluice::text {
namespace {

Status outcome(int32_t status, const Reply& reply) {
  if (status != SLUICE_TEXT_OK) return reply.error(status);
  return {};
}

uint32_t kind_code(GuideSpec::Kind kind) {
  switch (kind) {
    case GuideSpec::Kind::kJsonObject:
    case GuideSpec::Kind::kJsonSchema:
      return 0;
    case GuideSpec::Kind::kRegex:
      return 1;
    case GuideSpec::Kind::kChoice:
      return 2;
    case GuideSpec::Kind::kLark:
      return 3;
  }
  SLUICE_CHECK(false, "a guide has one of the known kinds");
  return 0;
}

std::string source_of(const GuideSpec& spec) {
  switch (spec.kind) {
    case GuideSpec::Kind::kJsonObject:
      return R"({"type":"object"})";
    case GuideSpec::Kind::kChoice:
      return base::to_line(Json(spec.choices));
    case GuideSpec::Kind::kJsonSchema:
    case GuideSpec::Kind::kRegex:
    case GuideSpec::Kind::kLark:
      return spec.source;
  }
  return {};
}

}  // namespace

void Guide::Free::operator()(sluice_text_guide* handle) const { sluice_text_guide_free(handle); }

Guide::Guide(const Guide& other) : handle_(sluice_text_guide_clone(other.handle_.get())) {
  SLUICE_CHECK(handle_ != nullptr, "a guide can be copied");
}

Guide& Guide::operator=(const Guide& other) {
  if (this != &other) *this = Guide(other);
  return *this;
}

Guide::Guide(Guide&&) noexcept = default;
Guide& Guide::operator=(Guide&&) noexcept = default;
Guide::~Guide() = default;

Status Guide::mask(std::span<uint32_t> bitmask) {
  Reply reply;
  const int32_t status =
      sluice_text_guide_mask(handle_.get(), bitmask.data(), bitmask.size(), reply.out());
  return outcome(status, reply);
}

Status Guide::accept(int32_t token) {
  if (token < 0) {
    return Error{ErrorCode::kInvalid, "token id " + std::to_string(token) + " is negative"};
  }
  Reply reply;
  const int32_t status =
      sluice_text_guide_accept(handle_.get(), static_cast<uint32_t>(token), reply.out());
  return outcome(status, reply);
}

bool Guide::is_complete() const { return sluice_text_guide_complete(handle_.get()) != 0; }

Result<GuideFactory> GuideFactory::make(const Tokenizer& tokenizer, int32_t vocab_size,
                                        std::span<const int32_t> eos, GuideLimits limits) {
  if (vocab_size <= 0) return Error{ErrorCode::kInvalid, "the model's vocabulary is empty"};
  if (static_cast<size_t>(vocab_size) > tokenizer.limits().vocab_ids) {
    return Error{ErrorCode::kInvalid, "the model's vocabulary of " + std::to_string(vocab_size) +
                                          " exceeds vocab_ids, " +
                                          std::to_string(tokenizer.limits().vocab_ids)};
  }
  for (const int32_t id : eos) {
    if (id < 0) {
      return Error{ErrorCode::kInvalid,
                   "end-of-sequence token " + std::to_string(id) + " is negative"};
    }
  }
  const std::vector<uint32_t> ends(eos.begin(), eos.end());
  sluice_text_guides* raw = nullptr;
  Reply reply;
  const sluice_text_guide_limits bounds = {limits.max_grammar_symbols, limits.compile_fuel,
                                           limits.step_fuel,           limits.step_items,
                                           limits.max_row_items,       limits.max_lexer_states};
  const int32_t status =
      sluice_text_guides_new(tokenizer.handle(), static_cast<size_t>(vocab_size), ends.data(),
                             ends.size(), bounds, &raw, reply.out());
  if (status != SLUICE_TEXT_OK) return reply.error(status);
  GuideFactory factory;
  factory.handle_ = std::shared_ptr<sluice_text_guides>(raw, sluice_text_guides_free);
  factory.limits_ = limits;
  factory.vocab_size_ = vocab_size;
  return factory;
}

Result<Guide> GuideFactory::guide(const GuideSpec& spec) const {
  const std::string source = source_of(spec);
  if (source.size() > limits_.source_bytes) {
    return over_limit("the guide", source.size(), limits_.source_bytes, "source_bytes");
  }
  if (spec.kind == GuideSpec::Kind::kJsonSchema) {
    base::JsonLimits json;
    json.bytes = limits_.source_bytes;
    json.depth = static_cast<int>(limits_.json_depth);
    auto parsed = base::parse_json(source, json);
    if (!parsed) return parsed.error().in("the JSON schema");
  }
  sluice_text_guide* raw = nullptr;
  Reply reply;
  const int32_t status = sluice_text_guide_new(handle_.get(), kind_code(spec.kind), slice(source),
                                               spec.whitespace_flexible, &raw, reply.out());
  if (status != SLUICE_TEXT_OK) return reply.error(status);
  return Guide(raw);
}

}  // namespace sluice::text
