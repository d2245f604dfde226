// Vocabularies as a GGUF file holds them, with what Hugging Face's tokenizer makes of texts; made
// by tools/text_gguf_goldens.py. For tests.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/check.h"
#include "text/gguf_vocabulary.h"

namespace sluice::text::testdata {

// {"vocabulary": {"tokens", "types", "scores", "merges"}, "texts": [...], "model", "pre", "bos",
// ..., "ids": [a list for each text], "decoded": [...], ...}; the first two may be names of files
// beside.
class GgufFixture {
 public:
  explicit GgufFixture(const std::string& path) {
    const Json json = read(path);
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    const auto part = [&](const char* key) {
      const Json& given = json[key];
      return given.is_string() ? read(folder + given.get<std::string>() + ".json") : given;
    };
    take_vocabulary(part("vocabulary"), json);
    texts = part("texts").get<std::vector<std::string>>();
    ids = json["ids"].get<std::vector<std::vector<int32_t>>>();
    before = json["before"].get<std::vector<int32_t>>();
    after = json["after"].get<std::vector<int32_t>>();
    decoded = texts_of(json["decoded"]);
    decoded_skipping = texts_of(json["decoded_skipping"]);
    for (const Json& sequence : json["random"]) random.push_back(sequence.get<RandomIds>());
  }
  GgufFixture(const GgufFixture&) = delete;
  GgufFixture& operator=(const GgufFixture&) = delete;

  // Ids, then their text with and without the special tokens.
  using RandomIds = std::tuple<std::vector<int32_t>, std::string, std::string>;

  GgufVocabulary vocabulary;  // its views are into this
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;  // by text, without special tokens
  std::vector<int32_t> before, after;     // the special tokens around each text's
  std::vector<std::string> decoded, decoded_skipping;
  std::vector<RandomIds> random;

 private:
  using Json = nlohmann::ordered_json;

  static Json read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    SLUICE_CHECK(file.good(), "the fixture is there");
    return Json::parse(file);
  }

  // null stands for the text itself.
  std::vector<std::string> texts_of(const Json& list) const {
    std::vector<std::string> out;
    for (size_t i = 0; i < list.size(); ++i) {
      out.push_back(list[i].is_null() ? texts[i] : list[i].get<std::string>());
    }
    return out;
  }

  template <class T>
  static std::optional<T> optional(const Json& json, const char* key) {
    return json.contains(key) ? std::optional<T>(json[key].get<T>()) : std::nullopt;
  }

  void take_vocabulary(const Json& from, const Json& flags) {
    tokens_ = from["tokens"].get<std::vector<std::string>>();
    merges_ = from.value("merges", std::vector<std::string>());
    vocabulary.tokens.assign(tokens_.begin(), tokens_.end());
    vocabulary.merges.assign(merges_.begin(), merges_.end());
    vocabulary.token_types = from["types"].get<std::vector<int32_t>>();
    vocabulary.scores = from.value("scores", std::vector<float>());
    vocabulary.model = flags["model"];
    vocabulary.pre = flags.value("pre", "");
    vocabulary.bos = optional<int32_t>(flags, "bos");
    vocabulary.eos = optional<int32_t>(flags, "eos");
    vocabulary.unk = optional<int32_t>(flags, "unk");
    vocabulary.add_bos = optional<bool>(flags, "add_bos");
    vocabulary.add_eos = optional<bool>(flags, "add_eos");
    vocabulary.add_space_prefix = optional<bool>(flags, "add_space_prefix");
  }

  std::vector<std::string> tokens_, merges_;
};

}  // namespace sluice::text::testdata
