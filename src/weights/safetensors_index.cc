#include "weights/safetensors_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "weights/quote.h"

namespace sluice::weights {
namespace {

using Parser = nlohmann::json;

// Collects the strings of the object 'weight_map' and skips everything else.
class IndexReader : public nlohmann::json_sax<Parser> {
 public:
  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_unsigned(number_unsigned_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool string(string_t& value) override {
    if (!in_map_ || depth_ != 2) return other();
    map.emplace_back(std::move(key_), std::move(value));
    return true;
  }
  bool start_object(size_t) override {
    if (depth_ == 1 && key_ == "weight_map") {
      if (found) return fail("'weight_map' stands twice");
      in_map_ = found = true;
    } else if (!other()) {
      return false;
    }
    return enter();
  }
  bool key(string_t& name) override {
    if (depth_ == 1 || in_map_) key_ = std::move(name);
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1) in_map_ = false;
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ == 0) return fail("the index is a list; an object is expected");
    return other() && enter();
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const Parser::exception&) override {
    return fail("the index is not JSON at byte " + std::to_string(position));
  }

  WeightMap map;
  bool found = false;
  std::string error;

 private:
  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }
  bool enter() {
    if (++depth_ > kMaxIndexDepth)
      return fail("the index is nested deeper than " + std::to_string(kMaxIndexDepth) + " levels");
    return true;
  }
  bool other() {
    if (in_map_) return fail("'weight_map' gives no file name for tensor " + quote(key_));
    if (depth_ == 1 && key_ == "weight_map") return fail("'weight_map' is not an object");
    return true;
  }

  int depth_ = 0;
  bool in_map_ = false;
  std::string key_;
};

// Only a name in the same directory: no separators, no "..", nothing hidden behind a zero byte.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

}  // namespace

Result<WeightMap> parse_index(std::string_view text) {
  IndexReader reader;
  try {
    if (!Parser::sax_parse(text.begin(), text.end(), &reader))
      return Error{ErrorCode::kCorrupt, reader.error};
  } catch (const Parser::exception& error) {
    return Error{ErrorCode::kCorrupt, std::string("the index is not JSON: ") + error.what()};
  }
  if (!reader.found) return Error{ErrorCode::kCorrupt, "the index has no 'weight_map'"};
  std::ranges::sort(reader.map);
  for (size_t i = 0; i < reader.map.size(); ++i) {
    const auto& [tensor, shard] = reader.map[i];
    if (i > 0 && reader.map[i - 1].first == tensor)
      return Error{ErrorCode::kCorrupt, "the index names tensor " + quote(tensor) + " twice"};
    if (!is_plain_file_name(shard)) {
      return Error{ErrorCode::kInvalid, "the index puts tensor " + quote(tensor) + " into " +
                                            quote(shard) +
                                            ", which is not a file beside the index"};
    }
  }
  return std::move(reader.map);
}

}  // namespace sluice::weights
