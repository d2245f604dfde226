#include "weights/fingerprint.h"

#include <gtest/gtest.h>

#include <set>

#include "weights/gguf_test_file.h"
#include "weights/test_files.h"

namespace sluice::weights {
namespace {

class FingerprintTest : public WeightsDirectory {
 protected:
  std::string identity(const std::filesystem::path& path) const {
    const auto opened = open_checkpoint(path);
    if (!opened) return opened.error().message;
    const auto hash = fingerprint(*opened);
    return hash ? *hash : hash.error().message;
  }
  std::string file(const std::string& name, const std::string& dtype, int64_t bytes) const {
    return safetensors_bytes(padded("{\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":[)" +
                                    std::to_string(dtype == "BF16" ? bytes / 2 : bytes) +
                                    R"(],"data_offsets":[0,)" + std::to_string(bytes) + "]}}"),
                             bytes);
  }
};

TEST_F(FingerprintTest, IsTheSameForACopyElsewhere) {
  write("model.safetensors", file("w", "U8", 1000));
  write("config.json", "{}");
  std::filesystem::create_directories(directory_ / "copy");
  for (const char* name : {"model.safetensors", "config.json"})
    std::filesystem::copy_file(directory_ / name, directory_ / "copy" / name);
  EXPECT_EQ(identity(directory_).size(), 16u);
  EXPECT_EQ(identity(directory_), identity(directory_ / "copy"));
  write("notes.txt", "not part of the model");
  EXPECT_EQ(identity(directory_), identity(directory_ / "copy"));
}

TEST_F(FingerprintTest, DiffersWhereTheModelDiffers) {
  std::set<std::string> seen;
  const auto differs = [&] { return seen.insert(identity(directory_)).second; };
  constexpr int64_t kBytes = 600'000;  // samples do not touch every byte
  write("model.safetensors", file("w", "U8", kBytes));
  EXPECT_TRUE(differs());
  write("model.safetensors", file("v", "U8", kBytes));
  EXPECT_TRUE(differs());
  write("model.safetensors", file("w", "I8", kBytes));
  EXPECT_TRUE(differs());
  write("model.safetensors", file("w", "BF16", kBytes));
  EXPECT_TRUE(differs());
  std::string other = file("w", "U8", kBytes);
  other.back() = static_cast<char>(other.back() + 1);
  write("model.safetensors", other);
  EXPECT_TRUE(differs());
  for (const char* name : {"config.json", "generation_config.json", "tokenizer.json",
                           "tokenizer_config.json", "chat_template.jinja"}) {
    write(name, "{}");
    EXPECT_TRUE(differs()) << name;
    write(name, "[]");
    EXPECT_TRUE(differs()) << name;
  }
}

TEST_F(FingerprintTest, OfAGgufFileComesFromItsKeysToo) {
  const auto file_of = [](const std::string& text, uint32_t number) {
    GgufTestFile file;
    file.text("text", text).number("number", number);
    return file.tensor("w", {2}, 0, "12345678").write();
  };
  const std::string first = identity(write("m.gguf", file_of("a", 1)));
  EXPECT_EQ(first.size(), 16u);
  write("config.json", "{}");  // not part of it
  EXPECT_EQ(identity(directory_ / "m.gguf"), first);
  EXPECT_NE(identity(write("m.gguf", file_of("b", 1))), first);
  EXPECT_NE(identity(write("m.gguf", file_of("a", 2))), first);
  EXPECT_EQ(identity(write("m.gguf", file_of("a", 1))), first);
}

}  // namespace
}  // namespace sluice::weights
