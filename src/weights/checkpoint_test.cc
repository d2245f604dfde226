#include "weights/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>

#include "tensor/float.h"
#include "weights/test_files.h"

namespace sluice::weights {
namespace {

using ::testing::HasSubstr;

// One F32 tensor of two elements.
std::string one_tensor(const std::string& name) {
  return safetensors_bytes(
      padded("{\"" + name + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"), 8);
}

std::string index_of(const std::string& map) {
  return R"({"metadata":{"total_size":16,"more":[1,{"x":null}]},"weight_map":{)" + map + "}}";
}

class CheckpointTest : public WeightsDirectory {
 protected:
  std::string error() const {
    const auto opened = open_checkpoint(directory_);
    return opened ? "opened" : opened.error().message;
  }
};

TEST_F(CheckpointTest, ReadsTensorsInPlace) {
  const std::string header =
      padded(R"({"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},)"
             R"("i":{"dtype":"I64","shape":[1],"data_offsets":[16,24]},)"
             R"("r5":{"dtype":"U8","shape":[1,1,1,1,4],"data_offsets":[12,16]},)"
             R"("f5":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[24,28]},)"
             R"("s":{"dtype":"F32","shape":[],"data_offsets":[28,32]}})");
  write("model.safetensors", safetensors_bytes(header, 32));
  auto opened = open_checkpoint(directory_);
  ASSERT_TRUE(opened) << opened.error().message;
  const Checkpoint moved = std::move(*opened);
  EXPECT_EQ(moved.root(), directory_);
  ASSERT_EQ(moved.entries().size(), 5u);
  EXPECT_EQ(moved.entries()[0].name, "a");
  EXPECT_EQ(moved.file_of(moved.entries()[0]), directory_ / "model.safetensors");

  const auto view = moved.tensor("a");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->dtype, tensor::DType::kBF16);
  EXPECT_EQ(view->shape, (tensor::Shape{2, 3}));
  EXPECT_EQ(view->bytes(), 12);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(view->data[i], std::byte(i));
  EXPECT_EQ(moved.tensor("s")->shape.rank, 0);

  EXPECT_EQ(moved.tensor("b").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(moved.tensor("b").error().message, HasSubstr("no tensor 'b'"));
  EXPECT_EQ(moved.tensor("i").error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(moved.tensor("i").error().message,
              HasSubstr("model.safetensors: tensor 'i' has elements of type I64"));
  EXPECT_THAT(moved.tensor("f5").error().message, HasSubstr("5 dimensions"));
}

TEST_F(CheckpointTest, PrefetchedAndDroppedPagesReadTheSame) {
  const int64_t bytes = 1 << 20;
  write("model.safetensors",
        safetensors_bytes(padded(R"({"x":{"dtype":"U8","shape":[24],"data_offsets":[0,24]},)"
                                 R"("w":{"dtype":"F16","shape":[524276],"data_offsets":[24,)" +
                                 std::to_string(bytes) + "]}}"),
                          bytes));
  const auto opened = open_checkpoint(directory_);
  ASSERT_TRUE(opened) << opened.error().message;
  const TensorEntry* entry = opened->find("w");
  ASSERT_NE(entry, nullptr);
  const auto resident_pages = [] {
    int64_t size = 0;
    int64_t resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return resident;
  };
  const auto sum = [&] {
    int64_t total = 0;
    const auto view = opened->view(*entry);
    // The element type is not computed with here; only the bytes matter.
    for (int64_t i = 0; i < entry->bytes; ++i) total += static_cast<int64_t>(view->data[i]);
    return total;
  };
  opened->prefetch(*entry);
  const int64_t before = sum();
  const int64_t read = resident_pages();
  opened->drop(*entry);
  EXPECT_LT(resident_pages(), read - 100);  // 256 pages, less the two that the tensor shares
  EXPECT_EQ(sum(), before);
}

TEST_F(CheckpointTest, ReadsShards) {
  write("model-1.safetensors", one_tensor("a"));
  write("model-2.safetensors", one_tensor("b"));
  write("model.safetensors.index.json",
        index_of(R"("a":"model-1.safetensors","b":"model-2.safetensors")"));
  const auto opened = open_checkpoint(directory_);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->files().size(), 2u);
  EXPECT_EQ(opened->file_of(*opened->find("b")), directory_ / "model-2.safetensors");
  EXPECT_TRUE(opened->tensor("a"));
}

TEST_F(CheckpointTest, AShardMayBeALinkElsewhere) {
  // The download cache of the hub is laid out like this.
  std::filesystem::create_directories(directory_ / "snapshot");
  write("blob", one_tensor("a"));
  std::filesystem::create_symlink("../blob", directory_ / "snapshot" / "model.safetensors");
  EXPECT_TRUE(open_checkpoint(directory_ / "snapshot"));
}

TEST_F(CheckpointTest, RefusesAnIndexThatDisagreesWithItsShards) {
  write("1.safetensors", one_tensor("a"));
  write("2.safetensors", one_tensor("b"));
  write("3.safetensors", one_tensor("a"));
  const struct {
    const char* map;
    const char* says;
  } cases[] = {
      {R"("a":"1.safetensors","b":"2.safetensors","c":"2.safetensors")",
       "'2.safetensors' holds tensor 'c', but no shard does"},
      {R"("a":"1.safetensors","b":"2.safetensors","aa":"2.safetensors")",
       "'2.safetensors' holds tensor 'aa', but no shard does"},
      {R"("a":"2.safetensors","b":"1.safetensors")",
       "'2.safetensors' holds tensor 'a', but it is in '1.safetensors'"},
      {R"("a":"1.safetensors","b":"2.safetensors","x":"3.safetensors")",
       "tensor 'a' stands in both"},
      {R"("a":"1.safetensors","b":"4.safetensors")", "shard '4.safetensors' that the index names"},
      {R"("a":"../1.safetensors")", "'../1.safetensors', which is not a file beside the index"},
      {R"("a":"/etc/passwd")", "which is not a file beside the index"},
      {R"("a":"..")", "which is not a file beside the index"},
      {R"("a":"")", "which is not a file beside the index"},
      {R"("a":"1.safetensors\u0000x")", "which is not a file beside the index"},
      {R"("a":"1.safetensors","a":"2.safetensors")", "names tensor 'a' twice"},
      {R"("a":3)", "gives no file name for tensor 'a'"},
      {R"("a":{"x":"1.safetensors"})", "gives no file name for tensor 'a'"},
  };
  for (const auto& bad : cases) {
    write("model.safetensors.index.json", index_of(bad.map));
    EXPECT_THAT(error(), HasSubstr(bad.says)) << bad.map;
  }
  write("4.safetensors",
        safetensors_bytes(padded(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                 R"("z":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
                          8));
  write("model.safetensors.index.json", index_of(R"("a":"4.safetensors")"));
  EXPECT_THAT(error(), HasSubstr("'4.safetensors' holds tensor 'z', which the index does not"));
}

TEST_F(CheckpointTest, RefusesAMalformedIndex) {
  const struct {
    std::string index;
    const char* says;
  } cases[] = {
      {"{", "not JSON"},
      {"[]", "is a list"},
      {"3", "no 'weight_map'"},
      {"{}", "no 'weight_map'"},
      {R"({"weight_map":[]})", "'weight_map' is not an object"},
      {R"({"weight_map":"x"})", "'weight_map' is not an object"},
      {R"({"weight_map":{},"weight_map":{}})", "'weight_map' stands twice"},
      {"{\"x\":" + std::string(50'000, '['), "nested deeper"},
  };
  for (const auto& bad : cases) {
    write("model.safetensors.index.json", bad.index);
    EXPECT_THAT(error(), HasSubstr(bad.says)) << bad.index.substr(0, 40);
    EXPECT_THAT(error(), HasSubstr("model.safetensors.index.json: "));
  }
}

TEST_F(CheckpointTest, SaysWhatADirectoryHoldsInstead) {
  EXPECT_THAT(error(), HasSubstr("has neither model.safetensors nor"));
  write("pytorch_model.bin", "x");
  EXPECT_THAT(error(), HasSubstr("convert it to safetensors"));
}

TEST_F(CheckpointTest, RefusesWhatIsNotACheckpoint) {
  EXPECT_EQ(open_checkpoint(directory_ / "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(open_checkpoint(write("m.bin", "x")).error().code, ErrorCode::kUnsupported);
  write("model.safetensors", "");
  EXPECT_THAT(error(), HasSubstr("model.safetensors: is empty"));
  std::filesystem::remove(directory_ / "model.safetensors");
  ASSERT_EQ(::mkfifo((directory_ / "model.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(error(), HasSubstr("is not a regular file"));
}

}  // namespace
}  // namespace sluice::weights
