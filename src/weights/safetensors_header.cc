#include "weights/safetensors_header.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "weights/quote.h"
#include "weights/safetensors.h"

namespace sluice::weights {
namespace {

using Parser = nlohmann::json;

// Walks {"name": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {...}}.
class HeaderReader : public nlohmann::json_sax<Parser> {
 public:
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_integer(number_integer_t value) override {
    // The parser calls this for negative numbers only.
    return fail(here() + " holds the negative number " + std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t, const string_t& text) override {
    return fail(here() + " holds " + quote(text) + "; a whole number below 2^63 is expected");
  }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool start_object(size_t) override;
  bool key(string_t& name) override;
  bool end_object() override;
  bool start_array(size_t) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string&, const Parser::exception&) override {
    return fail("the header is not JSON at its byte " + std::to_string(position));
  }

  HeaderJson header;
  std::string error;

 private:
  enum class At {
    kDocument,       // before the outermost {
    kRoot,           // among tensor names
    kTensor,         // at a tensor's {
    kFields,         // among a tensor's fields
    kDType,          // at the string
    kShape,          // at the [
    kSizes,          // among the shape's numbers
    kOffsets,        // at the [
    kBounds,         // among the two offsets
    kMetadata,       // at the {
    kMetadataKeys,   // among metadata
    kMetadataValue,  // at the string
  };

  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }
  std::string here() const;
  const char* expected() const;
  bool unexpected(const std::string& what) {
    return fail(here() + " holds " + what + " where " + expected() + " is expected");
  }
  bool field(const string_t& name);

  At at_ = At::kDocument;
  HeaderTensor tensor_;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  bool has_metadata_ = false;
  std::string metadata_key_;
};

std::string HeaderReader::here() const {
  switch (at_) {
    case At::kDocument:
    case At::kRoot:
      return "the header";
    case At::kTensor:
    case At::kFields:
      return "tensor " + quote(tensor_.name);
    case At::kDType:
      return "tensor " + quote(tensor_.name) + ": 'dtype'";
    case At::kShape:
    case At::kSizes:
      return "tensor " + quote(tensor_.name) + ": 'shape'";
    case At::kOffsets:
    case At::kBounds:
      return "tensor " + quote(tensor_.name) + ": 'data_offsets'";
    case At::kMetadata:
    case At::kMetadataKeys:
      return "'__metadata__'";
    case At::kMetadataValue:
      return "'__metadata__': " + quote(metadata_key_);
  }
  return {};
}

const char* HeaderReader::expected() const {
  switch (at_) {
    case At::kDocument:
    case At::kRoot:
    case At::kTensor:
    case At::kFields:
    case At::kMetadata:
    case At::kMetadataKeys:
      return "an object";
    case At::kDType:
    case At::kMetadataValue:
      return "a string";
    case At::kShape:
    case At::kOffsets:
      return "a list";
    case At::kSizes:
    case At::kBounds:
      return "a whole number";
  }
  return "";
}

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  if (at_ != At::kSizes && at_ != At::kBounds) return unexpected("a number");
  if (value > uint64_t{INT64_MAX})
    return fail(here() + " holds " + std::to_string(value) + ", beyond 2^63");
  auto& numbers = at_ == At::kSizes ? tensor_.shape : tensor_.data_offsets;
  if (at_ == At::kSizes && numbers.size() == kMaxStoredRank)
    return fail(here() + " has more than " + std::to_string(kMaxStoredRank) + " dimensions");
  if (at_ == At::kBounds && numbers.size() == 2) return fail(here() + " has more than two numbers");
  numbers.push_back(static_cast<int64_t>(value));
  return true;
}

bool HeaderReader::string(string_t& value) {
  if (at_ == At::kDType) {
    tensor_.dtype = std::move(value);
    at_ = At::kFields;
    return true;
  }
  if (at_ == At::kMetadataValue) {
    if (!header.metadata.emplace(metadata_key_, std::move(value)).second)
      return fail(here() + " stands twice");
    at_ = At::kMetadataKeys;
    return true;
  }
  return unexpected("a string");
}

bool HeaderReader::start_object(size_t) {
  if (at_ == At::kDocument) {
    at_ = At::kRoot;
  } else if (at_ == At::kTensor) {
    at_ = At::kFields;
  } else if (at_ == At::kMetadata) {
    at_ = At::kMetadataKeys;
  } else {
    return unexpected("an object");
  }
  return true;
}

bool HeaderReader::key(string_t& name) {
  if (at_ == At::kFields) return field(name);
  if (at_ == At::kMetadataKeys) {
    metadata_key_ = std::move(name);
    at_ = At::kMetadataValue;
    return true;
  }
  if (name == "__metadata__") {
    if (std::exchange(has_metadata_, true)) return fail("'__metadata__' stands twice");
    at_ = At::kMetadata;
    return true;
  }
  tensor_ = {};
  tensor_.name = std::move(name);
  has_dtype_ = has_shape_ = has_offsets_ = false;
  at_ = At::kTensor;
  return true;
}

bool HeaderReader::field(const string_t& name) {
  bool* seen = nullptr;
  At next{};
  if (name == "dtype") {
    seen = &has_dtype_;
    next = At::kDType;
  } else if (name == "shape") {
    seen = &has_shape_;
    next = At::kShape;
  } else if (name == "data_offsets") {
    seen = &has_offsets_;
    next = At::kOffsets;
  } else {
    return fail(here() + " has an unknown field " + quote(name));
  }
  if (std::exchange(*seen, true)) return fail(here() + " has " + quote(name) + " twice");
  at_ = next;
  return true;
}

bool HeaderReader::end_object() {
  if (at_ == At::kMetadataKeys) {
    at_ = At::kRoot;
    return true;
  }
  if (at_ != At::kFields) return true;  // the outermost one
  if (!has_dtype_) return fail(here() + " has no 'dtype'");
  if (!has_shape_) return fail(here() + " has no 'shape'");
  if (!has_offsets_) return fail(here() + " has no 'data_offsets'");
  header.tensors.push_back(std::move(tensor_));
  at_ = At::kRoot;
  return true;
}

bool HeaderReader::start_array(size_t) {
  if (at_ == At::kShape) {
    at_ = At::kSizes;
  } else if (at_ == At::kOffsets) {
    at_ = At::kBounds;
  } else {
    return unexpected("a list");
  }
  return true;
}

bool HeaderReader::end_array() {
  if (at_ == At::kBounds && tensor_.data_offsets.size() != 2)
    return fail(here() + " has fewer than two numbers");
  at_ = At::kFields;
  return true;
}

}  // namespace

Result<HeaderJson> parse_header_json(std::string_view text) {
  HeaderReader reader;
  try {
    if (!Parser::sax_parse(text.begin(), text.end(), &reader))
      return Error{ErrorCode::kCorrupt, reader.error};
  } catch (const Parser::exception& error) {
    return Error{ErrorCode::kCorrupt, std::string("the header is not JSON: ") + error.what()};
  }
  return std::move(reader.header);
}

}  // namespace sluice::weights
