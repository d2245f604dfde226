#include "batch/fields.h"

namespace sluice::batch {
namespace {

using engine::GuideSpec;

// A schema as an object, or as a string that holds one.
void read_schema(Fields& fields, const char* key, const Json& value, GuideSpec& guide) {
  if (!value.is_object() && !value.is_string() && !value.is_boolean())
    return fields.wrong_type(key, value, "a JSON schema");
  const std::string text = value.is_string() ? value.get<std::string>() : base::to_line(value);
  if (text.size() > kMaxGuideBytes)
    return fields.wrong_value(
        key, "has more than " + std::to_string(kMaxGuideBytes) + " bytes, which is the limit");
  guide = engine::GuideJsonSchema{text};
}

void read_regex(Fields& fields, const char* key, GuideSpec& guide) {
  std::string pattern;
  if (fields.string(key, kMaxGuideBytes, pattern)) guide = engine::GuideRegex{pattern};
}

void read_choices(Fields& fields, const char* key, const Json& value, GuideSpec& guide) {
  if (!value.is_array() || value.empty())
    return fields.wrong_type(key, value, "a list of strings, not empty,");
  if (value.size() > kMaxGuideChoices)
    return fields.wrong_value(
        key, "has more than " + std::to_string(kMaxGuideChoices) + " choices, which is the limit");
  engine::GuideChoice choice;
  size_t bytes = 0;
  for (const Json& text : value) {
    if (!text.is_string()) return fields.wrong_type(key, text, "a string");
    choice.choices.push_back(text.get<std::string>());
    bytes += choice.choices.back().size();
  }
  if (bytes > kMaxGuideBytes)
    return fields.wrong_value(
        key, "has more than " + std::to_string(kMaxGuideBytes) + " bytes, which is the limit");
  guide = std::move(choice);
}

void read_response_format(Fields& fields, const Json& value, GuideSpec& guide) {
  if (!value.is_object())
    return fields.wrong_type("response_format", value, "an object with a 'type'");
  Fields format(value, "response_format.");
  std::string type;
  if (!format.string("type", 64, type))
    format.fail("missing_required_parameter", "type", "is missing");
  if (type == "json_object") {
    guide = engine::GuideJsonObject{};
  } else if (type == "json_schema") {
    const Json* described = format.find("json_schema");
    if (described == nullptr || !described->is_object()) {
      format.fail("missing_required_parameter", "json_schema",
                  "must be an object with a 'name' and a 'schema'");
    } else {
      Fields inner(*described, "response_format.json_schema.");
      std::string unused;
      bool strict = true;
      inner.string("name", 256, unused);
      inner.string("description", kMaxGuideBytes, unused);
      inner.boolean("strict", strict);  // the schema is kept to either way
      if (const Json* schema = inner.find("schema")) {
        read_schema(inner, "schema", *schema, guide);
      } else {
        inner.fail("missing_required_parameter", "schema", "is missing");
      }
      inner.refuse_unknown();
      format.take_error(inner);
    }
  } else if (type != "text") {
    format.unsupported("type", "text, json_object and json_schema are");
  }
  format.refuse_unknown();
  fields.take_error(format);
}

void read_structured_outputs(Fields& fields, const Json& value, GuideSpec& guide) {
  if (!value.is_object()) return fields.wrong_type("structured_outputs", value, "an object");
  Fields inner(value, "structured_outputs.");
  int given = 0;
  if (const Json* schema = inner.find("json")) {
    read_schema(inner, "json", *schema, guide);
    ++given;
  }
  if (inner.has("regex")) {
    read_regex(inner, "regex", guide);
    ++given;
  }
  if (const Json* choices = inner.find("choice")) {
    read_choices(inner, "choice", *choices, guide);
    ++given;
  }
  bool any_object = false;
  inner.boolean("json_object", any_object);
  if (any_object) {
    guide = engine::GuideJsonObject{};
    ++given;
  }
  for (const char* key : {"grammar", "structural_tag", "whitespace_pattern",
                          "disable_any_whitespace", "disable_additional_properties"}) {
    const Json* other = inner.find(key);
    if (other != nullptr && *other != false)
      inner.unsupported(key, "json, json_object, regex and choice are");
  }
  inner.refuse_unknown();
  if (given > 1) inner.wrong_value("json", "stands beside another constraint; give one");
  if (given == 0) inner.wrong_value("json", "is missing: json, json_object, regex or choice");
  fields.take_error(inner);
}

}  // namespace

void read_guide(Fields& fields, BatchLine& line) {
  std::string first;
  const auto only = [&](const char* key) {
    if (!first.empty())
      fields.wrong_value(key, "stands beside '" + first + "', which constrains too; give one");
    first = key;
  };
  if (const Json* format = fields.find("response_format")) {
    read_response_format(fields, *format, line.guide);
    if (line.guide.index() != 0) only("response_format");
  }
  if (const Json* outputs = fields.find("structured_outputs")) {
    only("structured_outputs");
    read_structured_outputs(fields, *outputs, line.guide);
  }
  // Before structured_outputs, vLLM spelled it so.
  if (const Json* schema = fields.find("guided_json")) {
    only("guided_json");
    read_schema(fields, "guided_json", *schema, line.guide);
  }
  if (fields.has("guided_regex")) {
    only("guided_regex");
    read_regex(fields, "guided_regex", line.guide);
  }
  if (const Json* choices = fields.find("guided_choice")) {
    only("guided_choice");
    read_choices(fields, "guided_choice", *choices, line.guide);
  }
}

}  // namespace sluice::batch
