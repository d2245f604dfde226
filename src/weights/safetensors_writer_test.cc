#include "weights/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/test_path.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"
#include "weights/test_files.h"

namespace sluice::weights {
namespace {

using tensor::DType;
using ::testing::HasSubstr;

class WriterTest : public WeightsDirectory {};

// Writes 0, 1, 2, ... as data, in pieces of `piece` bytes.
Status write_counting(const std::filesystem::path& path, const std::vector<TensorDecl>& tensors,
                      size_t piece) {
  SLUICE_ASSIGN(SafetensorsWriter writer,
                SafetensorsWriter::create(path, tensors, {{"format", "pt"}}));
  std::vector<std::byte> data(static_cast<size_t>(writer.bytes_left()));
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i);
  for (size_t at = 0; at < data.size(); at += piece) {
    SLUICE_TRY(writer.append(std::span(data).subspan(at, std::min(piece, data.size() - at))));
  }
  return writer.finish(/*durable=*/true);
}

TEST_F(WriterTest, TheReaderFindsWhatWasWritten) {
  const std::vector<TensorDecl> tensors{{"z", DType::kF32, {2, 3}},
                                        {"\"quoted\"\n\xc3\xa9", DType::kBF16, {5}},
                                        {"empty", DType::kF16, {0, 4}},
                                        {"scalar", DType::kF16, {}}};
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{1000}}) {
    const auto written = write_counting(directory_ / "model.safetensors", tensors, piece);
    ASSERT_TRUE(written) << written.error().message;
    const auto opened = open_checkpoint(directory_);
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_EQ(opened->entries().size(), tensors.size());
    uint8_t next = 0;
    for (const TensorDecl& tensor : tensors) {
      const auto view = opened->tensor(tensor.name);
      ASSERT_TRUE(view) << view.error().message;
      EXPECT_EQ(view->dtype, tensor.dtype);
      EXPECT_EQ(opened->find(tensor.name)->dims, tensor.dims);
      for (int64_t i = 0; i < view->bytes(); ++i) EXPECT_EQ(view->data[i], std::byte{next++});
    }
    const auto header = parse_safetensors(opened->files()[0].data(), opened->files()[0].bytes());
    EXPECT_EQ(header->metadata.at("format"), "pt");
    EXPECT_EQ(header->data_offset % 8, 0);
  }
}

TEST_F(WriterTest, AnUnfinishedFileIsNotThere) {
  const auto path = directory_ / "model.safetensors";
  {
    auto writer = SafetensorsWriter::create(path, {{"w", DType::kF32, {2}}});
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append(std::vector<std::byte>(4)));
    EXPECT_EQ(writer->bytes_left(), 4);
    const SafetensorsWriter moved = std::move(*writer);
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(WriterTest, RefusesWhatTheFormatForbids) {
  const auto error = [&](std::vector<TensorDecl> tensors) {
    const auto writer = SafetensorsWriter::create(directory_ / "x", std::move(tensors));
    return writer ? "created" : writer.error().message;
  };
  EXPECT_THAT(error({{"w", DType::kF32, {1}}, {"w", DType::kF32, {1}}}),
              HasSubstr("tensor 'w' is declared twice"));
  EXPECT_THAT(error({{"w", DType::kF32, {-1}}}), HasSubstr("impossible shape [-1]"));
  EXPECT_THAT(error({{"w", DType::kF32, {int64_t{1} << 40, int64_t{1} << 40}}}),
              HasSubstr("impossible shape"));
  EXPECT_THAT(error({{"v", DType::kF16, {1}}, {"w", DType::kF32, {1}}}),
              HasSubstr("tensor 'w' would not be aligned"));
  const auto nowhere = SafetensorsWriter::create(directory_ / "none" / "x", {});
  EXPECT_EQ(nowhere.error().code, ErrorCode::kIo);
}

TEST(WriterDisk, AFullDiskIsNoRoom) {
  // Writing to /dev/full fails as a full disk does. The ".partial" name is a link to it.
  const std::filesystem::path path = base::test_path("full.safetensors");
  const auto link = std::filesystem::path(path.string() + ".partial");
  std::filesystem::remove(link);
  std::filesystem::create_symlink("/dev/full", link);
  const auto writer = SafetensorsWriter::create(path, {{"w", DType::kF32, {2}}});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, ErrorCode::kNoRoom);
  EXPECT_THAT(writer.error().message, HasSubstr("make space"));
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(link)));
}

TEST_F(WriterTest, ShardsAndTheirIndexOpenAsOne) {
  std::vector<TensorDecl> tensors;
  for (int i = 0; i < 10; ++i)
    tensors.push_back({"t" + std::to_string(i), DType::kF32, {i == 4 ? 100 : 10}});
  const auto shards = plan_shards(tensors, 120);
  ASSERT_EQ(shards.size(), 5u);
  EXPECT_EQ(shards[0].file_name, "model-00001-of-00005.safetensors");
  EXPECT_EQ(shards[0].tensors.size(), 3u);
  EXPECT_EQ(shards[2].tensors.size(), 1u);  // the one that is larger than a shard
  for (const ShardDecl& shard : shards)
    ASSERT_TRUE(write_counting(directory_ / shard.file_name, shard.tensors, 64));
  ASSERT_TRUE(write_index(directory_, shards));
  const auto opened = open_checkpoint(directory_);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->entries().size(), 10u);
  EXPECT_EQ(opened->file_of(*opened->find("t9")).filename(), shards[4].file_name);

  EXPECT_EQ(plan_shards(tensors, 1 << 20).size(), 1u);
  EXPECT_EQ(plan_shards(tensors, 1 << 20)[0].file_name, "model.safetensors");
}

}  // namespace
}  // namespace sluice::weights
