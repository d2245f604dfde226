// The committed inputs of this folder's tests, read from the source tree.
#pragma once

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/tokenizer.h"

namespace sluice::text::testdata {

inline std::string read(const std::string& name) {
  std::ifstream file(std::string(SLUICE_SOURCE_DIR) + "/src/text/testdata/" + name,
                     std::ios::binary);
  SLUICE_CHECK(file.good(), "the test's input is in src/text/testdata");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline nlohmann::ordered_json json(const std::string& name) {
  return nlohmann::ordered_json::parse(read(name));
}

// One of byte_level, byte_fallback, unigram, wordpiece; read once per test program.
inline const Tokenizer& tokenizer(std::string_view name) {
  static std::map<std::string, Tokenizer, std::less<>> kept;
  auto found = kept.find(name);
  if (found == kept.end()) {
    auto made = Tokenizer::from_json(read("tokenizers/" + std::string(name) + ".json"));
    SLUICE_CHECK(made.ok(), "the committed tokenizers can be read");
    found = kept.emplace(name, *made).first;
  }
  return found->second;
}

}  // namespace sluice::text::testdata
