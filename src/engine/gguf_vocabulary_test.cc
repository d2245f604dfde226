#include "engine/gguf_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/gguf.h"
#include "weights/gguf_test_file.h"

namespace sluice::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using weights::GgufTestFile;

class GgufVocabularyTest : public testing::Test {
 protected:
  // The result views into bytes that this holds.
  Result<text::GgufVocabulary> read(const GgufTestFile& file) {
    bytes_ = file.write();
    parsed_ = weights::parse_gguf(std::as_bytes(std::span(bytes_))).value();
    return read_gguf_vocabulary(parsed_.metadata);
  }
  std::string error(const GgufTestFile& file) {
    const auto read = this->read(file);
    return read ? "read" : read.error().message;
  }

  std::string bytes_;
  weights::GgufFile parsed_;
};

TEST_F(GgufVocabularyTest, ReadsEveryKey) {
  GgufTestFile file;
  file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "llama-bpe");
  file.texts("tokenizer.ggml.tokens", {"a", "b", "<|im_end|>", "</s>"});
  file.numbers<int32_t>("tokenizer.ggml.token_type", {1, 1, 3, 1});
  file.numbers<float>("tokenizer.ggml.scores", {0.5f, -1});
  file.texts("tokenizer.ggml.merges", {"a b"});
  file.number("tokenizer.ggml.bos_token_id", 0u).number("tokenizer.ggml.eos_token_id", 1u);
  file.number("tokenizer.ggml.eot_token_id", 7u).number("tokenizer.ggml.eom_token_id", 1u);
  file.number("tokenizer.ggml.unknown_token_id", 4u).number("tokenizer.ggml.padding_token_id", 5u);
  file.number("tokenizer.ggml.add_bos_token", true).number("tokenizer.ggml.add_eos_token", false);
  file.number("tokenizer.ggml.add_space_prefix", false);
  file.number("tokenizer.ggml.remove_extra_whitespaces", true);
  file.text("tokenizer.chat_template", "{{ x }}").text("tokenizer.chat_template.rag", "{{ y }}");
  file.texts("tokenizer.chat_templates", {"rag", "missing"});
  const auto read = this->read(file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->model, "gpt2");
  EXPECT_EQ(read->pre, "llama-bpe");
  EXPECT_THAT(read->tokens, ElementsAre("a", "b", "<|im_end|>", "</s>"));
  EXPECT_THAT(read->token_types, ElementsAre(1, 1, 3, 1));
  EXPECT_THAT(read->scores, ElementsAre(0.5f, -1));
  EXPECT_THAT(read->merges, ElementsAre("a b"));
  EXPECT_EQ(read->bos, 0);
  EXPECT_EQ(read->eos, 1);
  EXPECT_EQ(read->eot, 7);
  EXPECT_EQ(read->eom, 1);
  EXPECT_EQ(read->unk, 4);
  EXPECT_EQ(read->pad, 5);
  EXPECT_EQ(read->add_bos, true);
  EXPECT_EQ(read->add_eos, false);
  EXPECT_EQ(read->add_space_prefix, false);
  EXPECT_EQ(read->remove_extra_whitespaces, true);
  EXPECT_EQ(read->chat_template, "{{ x }}");
  EXPECT_THAT(read->named_chat_templates, ElementsAre(testing::Pair("rag", "{{ y }}")));
  EXPECT_TRUE(has_vocabulary(*read));
  // By id, and by text where the token is a control token.
  EXPECT_THAT(end_tokens(*read), ElementsAre(1, 7, 2));
}

TEST_F(GgufVocabularyTest, AFileMayHaveNone) {
  auto read = this->read(GgufTestFile());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_FALSE(has_vocabulary(*read));
  EXPECT_THAT(end_tokens(*read), IsEmpty());
  EXPECT_FALSE(has_vocabulary(*this->read(GgufTestFile().text("tokenizer.ggml.model", "none"))));
  // As a pad id of -1 becomes.
  EXPECT_FALSE(this->read(GgufTestFile().number("tokenizer.ggml.padding_token_id", ~0u))->pad);
}

TEST_F(GgufVocabularyTest, RefusesValuesOfAnotherKindByName) {
  EXPECT_THAT(error(GgufTestFile().number("tokenizer.ggml.model", 3)),
              HasSubstr("'tokenizer.ggml.model' is not a string"));
  EXPECT_THAT(error(GgufTestFile().text("tokenizer.ggml.tokens", "a")),
              HasSubstr("'tokenizer.ggml.tokens' is not a list of strings"));
  EXPECT_THAT(error(GgufTestFile().numbers<int32_t>("tokenizer.ggml.merges", {1})),
              HasSubstr("'tokenizer.ggml.merges' is not a list of strings"));
  EXPECT_THAT(error(GgufTestFile().texts("tokenizer.ggml.token_type", {"a"})),
              HasSubstr("'tokenizer.ggml.token_type' is not a list of whole numbers"));
  EXPECT_THAT(error(GgufTestFile().numbers<uint64_t>("tokenizer.ggml.token_type", {1ull << 40})),
              HasSubstr("'tokenizer.ggml.token_type' is not"));
  EXPECT_THAT(error(GgufTestFile().numbers<double>("tokenizer.ggml.scores", {1})),
              HasSubstr("'tokenizer.ggml.scores' is not a list of real numbers"));
  EXPECT_THAT(error(GgufTestFile().number("tokenizer.ggml.eos_token_id", -1)),
              HasSubstr("'tokenizer.ggml.eos_token_id' is not a token's id"));
  EXPECT_THAT(error(GgufTestFile().number("tokenizer.ggml.add_bos_token", 1)),
              HasSubstr("'tokenizer.ggml.add_bos_token' is not true or false"));
}

}  // namespace
}  // namespace sluice::engine
