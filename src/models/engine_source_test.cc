// An engine directory gives the bytes that its checkpoint gives.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "io/faults.h"
#include "models/checkpoint_tensors.h"
#include "models/embedding_source.h"
#include "models/engine_contents.h"
#include "models/source_cases.h"
#include "models/weight_source.h"
#include "weights/engine_writer.h"

namespace sluice::models {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class EngineSourceTest : public weights::WeightsDirectory {
 protected:
  fs::path out() const { return directory_ / "out"; }

  // Of small files, so that layers lie across several.
  void write_engine(Case& c) const {
    const auto groups = engine_groups(*c.source);
    std::vector<int64_t> sizes;
    for (const EngineGroup& group : groups) sizes.push_back(group.bytes);
    const auto places = weights::place_groups(sizes, int64_t{64} << 10);
    const weights::BuildIdentity identity{.model = "m",
                                          .groups = static_cast<int64_t>(groups.size())};
    auto writer = weights::EngineWriter::open(out(), identity, places, 0).value();
    base::ThreadTeam team(2);
    std::vector<uint32_t> checksums;
    for (size_t i = 0; i < groups.size(); ++i) {
      AlignedBytes bytes(groups[i].bytes);
      ASSERT_TRUE(read_group(*c.source, groups[i], bytes.data(), team).ok());
      ASSERT_TRUE(writer.write(i, bytes.copy()).ok());
      checksums.push_back(writer.checksum(i));
    }
    weights::EngineManifest manifest;
    manifest.config = Json::object();
    manifest.stored = c.source->stored();
    manifest.names = name(naming_in(*c.checkpoint, c.model.config));
    describe_groups(*c.source, groups, places, checksums, manifest);
    const Status finished = writer.finish(std::move(manifest), {});
    ASSERT_TRUE(finished.ok()) << finished.error().message;
  }

  // As a reader that goes past the page cache would.
  static std::vector<std::byte> read_file(const WeightSource& source,
                                          const WeightSource::PageAt& at) {
    std::vector<std::byte> bytes(static_cast<size_t>(at.bytes));
    const int fd = ::open(source.files()[static_cast<size_t>(at.file)].c_str(), O_RDONLY);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(::pread(fd, bytes.data(), bytes.size(), at.offset), at.bytes);
    ::close(fd);
    return bytes;
  }

  void expect_same(const char* model, const char* quant) {
    SCOPED_TRACE(std::string(model) + " " + quant);
    fs::remove_all(out());
    Case c = open_case(model, quant);
    write_engine(c);
    const auto directory = weights::EngineDirectory::open(out());
    ASSERT_TRUE(directory) << directory.error().message;
    auto opened = engine_source(c.model.config, *c.model.family, *directory);
    ASSERT_TRUE(opened) << opened.error().message;
    WeightSource& engine = **opened;
    EXPECT_EQ(engine.stored(), c.source->stored());
    ASSERT_EQ(engine.table().size(), c.source->table().size());
    expect_load_gives_what_read_gives(engine);
    base::ThreadTeam team(2);
    for (size_t i = 0; i < engine.table().size(); ++i) {
      const TensorSlot& slot = engine.table()[i];
      EXPECT_EQ(slot.name, c.source->table()[i].name);
      ASSERT_EQ(engine.dtype(i), c.source->dtype(i)) << slot.name;
      ASSERT_EQ(tensor_bytes(engine, i, team), tensor_bytes(*c.source, i, team)) << slot.name;
      if (slot.is_expert() && slot.slot == Slot::kGate) expect_same_page(engine, *c.source, slot);
    }
    expect_same_rows(engine);
    expect_same_rows(*c.source);
  }

  void expect_same_page(WeightSource& engine, WeightSource& checkpoint, const TensorSlot& slot) {
    EXPECT_EQ(engine.page(slot.layer), checkpoint.page(slot.layer));
    const auto expected = page_bytes(checkpoint, slot.layer, slot.expert, nullptr);
    EXPECT_EQ(page_bytes(engine, slot.layer, slot.expert, nullptr), expected);
    const auto at = engine.page_at(slot.layer, slot.expert);
    ASSERT_TRUE(at);
    EXPECT_EQ(at->offset % kExpertPageAlignment, 0);
    EXPECT_EQ(at->bytes, engine.page(slot.layer).bytes);
    std::vector<std::byte> page = read_file(engine, *at);
    EXPECT_EQ(page, expected);
    EXPECT_TRUE(check_page(engine, slot.layer, slot.expert, page).ok());
    page[page.size() / 2] ^= std::byte{4};
    const Status damaged = check_page(engine, slot.layer, slot.expert, page);
    ASSERT_FALSE(damaged);
    EXPECT_THAT(
        damaged.error().message,
        AllOf(HasSubstr("weights-0000"), HasSubstr("expert " + std::to_string(slot.expert) +
                                                   " of layer " + std::to_string(slot.layer))));
  }

  // Row by row what the whole table gives; what is read is what the plan counts.
  static void expect_same_rows(WeightSource& source) {
    base::ThreadTeam team(2);
    const size_t at = embedding_slot(source.table());
    const tensor::Shape shape = source.table()[at].shape;
    AlignedBytes bytes(bytes_in_memory(source.table()[at], source.dtype(at)));
    ASSERT_TRUE(source.read(at, bytes.data(), team).ok());
    const kernels::PackedMatrix table{
        .dtype = source.dtype(at), .rows = shape[0], .cols = shape[1], .data = bytes.data()};
    const auto rows = source.embedding(team);
    ASSERT_TRUE(rows) << rows.error().message;
    std::vector<float> expected(static_cast<size_t>(shape[1])), got(expected.size());
    AlignedBytes room(embedding_read_bytes(table.dtype, shape[1]));
    for (int64_t row = 0; row < shape[0]; ++row) {
      kernels::unpack_row(table, row, expected.data());
      if (const auto place = (*rows)->at(row)) {
        EXPECT_EQ(place->offset % kExpertPageAlignment, 0);
        ASSERT_LE(place->bytes, room.bytes);
        std::ranges::copy(read_file(source, *place), room.data());
      }
      const std::span<std::byte> read(room.data(), static_cast<size_t>(room.bytes));
      ASSERT_TRUE((*rows)->row(row, read, got.data()).ok());
      ASSERT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0) << row;
    }
  }

  void flip(const std::string& file, int64_t at) const {
    std::fstream stream(out() / file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(at);
    stream.put(byte);
  }
};

TEST_F(EngineSourceTest, GivesTheBytesOfItsCheckpoint) {
  for (const char* quant : {"none", "q8", "q4", "mxfp4"}) expect_same("mixtral_top2_of_4", quant);
  expect_same("qwen3_moe_sparse_step", "none");  // some layers are dense
  expect_same("llama_mqa_tied", "bf16");         // no experts
  expect_same("mixtral_fused", "none");          // stacked experts
  expect_same("llama_bias", "none");
}

TEST_F(EngineSourceTest, ReadingChecksEveryTensor) {
  Case c = open_case("mixtral_top2_of_4", "none");
  write_engine(c);
  const auto manifest = weights::EngineDirectory::open(out()).value().manifest();
  const weights::EngineTensor& tensor = manifest.tensors[3];
  const weights::PageRun page = weights::page_run_of(manifest.experts[1], 2);
  flip(manifest.files[static_cast<size_t>(tensor.file)].name, tensor.offset + tensor.bytes / 2);
  flip(manifest.files[static_cast<size_t>(page.file)].name, page.offset + 100);
  const auto directory = weights::EngineDirectory::open(out());
  const auto engine = engine_source(c.model.config, *c.model.family, *directory).value();
  base::ThreadTeam team(1);
  for (size_t i = 0; i < engine->table().size(); ++i) {
    const TensorSlot& slot = engine->table()[i];
    AlignedBytes into(bytes_in_memory(slot, engine->dtype(i)));
    const Status status = engine->read(i, into.data(), team);
    const bool damaged = slot.name == tensor.name || (slot.layer == 1 && slot.expert == 2);
    ASSERT_EQ(status.ok(), !damaged) << slot.name;
    if (!damaged) continue;
    EXPECT_THAT(status.error().message,
                HasSubstr(slot.is_expert() ? "expert 2 of layer 1" : "'" + tensor.name + "'"));
  }
  AlignedBytes into(engine->page(1).bytes);
  EXPECT_FALSE(engine->read_page(1, 2, into.data(), nullptr).ok());
  EXPECT_TRUE(engine->read_page(1, 1, into.data(), nullptr).ok());
}

TEST_F(EngineSourceTest, LoadingChecksWhatItHasRead) {
  Case c = open_case("mixtral_top2_of_4", "none");
  write_engine(c);
  const auto directory = weights::EngineDirectory::open(out());
  const auto engine = engine_source(c.model.config, *c.model.family, *directory).value();
  const weights::EngineTensor& tensor = directory->manifest().tensors[3];
  const weights::PageRun page = weights::page_run_of(directory->manifest().experts[1], 2);
  const auto error_of = [&](int file, int64_t offset, const io::Fault& fault) {
    io::ListedFaults faults;
    faults.add({.file = file, .offset = offset, .fault = fault});
    const Loaded loaded(*engine, true, {.from_page_cache = false, .faults = &faults});
    return loaded.status.ok() ? std::string("no error") : loaded.status.error().message;
  };
  const io::Fault flipped{.flipped_bit = 100};
  EXPECT_THAT(error_of(tensor.file, tensor.offset, flipped),
              AllOf(HasSubstr("'" + tensor.name + "'"), HasSubstr("not what was written")));
  EXPECT_THAT(error_of(page.file, page.offset, flipped), HasSubstr("expert 2 of layer 1"));
  EXPECT_THAT(error_of(page.file, page.offset, {.error = EIO}), HasSubstr("weights-0000"));
  EXPECT_EQ(error_of(page.file, page.offset, {.most_bytes = 4096}), "no error");
  // The same in the file, found where it is copied from the page cache.
  flip(directory->manifest().files[static_cast<size_t>(page.file)].name, page.offset + 100);
  const Loaded cached(*engine, true, {});
  ASSERT_FALSE(cached.status.ok());
  EXPECT_THAT(cached.status.error().message, HasSubstr("expert 2 of layer 1"));
}

TEST_F(EngineSourceTest, RowsOfTheEmbeddingAreChecked) {
  Case c = open_case("mixtral_top2_of_4", "q8");
  write_engine(c);
  const auto directory = weights::EngineDirectory::open(out());
  const auto engine = engine_source(c.model.config, *c.model.family, *directory).value();
  base::ThreadTeam team(2);
  const auto rows = engine->embedding(team).value();
  const auto place = rows->at(20).value();
  std::vector<std::byte> read = read_file(*engine, place);
  std::vector<float> row(static_cast<size_t>(c.model.config.hidden));
  EXPECT_TRUE(rows->row(20, read, row.data()).ok());
  const weights::EngineTensor& tensor = directory->manifest().tensors.front();
  const int64_t panel = kernels::panel_bytes(tensor.dtype, tensor.dims[1]);
  read[static_cast<size_t>(tensor.offset + panel + 7 - place.offset)] ^= std::byte{1};
  const Status damaged = rows->row(20, read, row.data());
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(damaged.error().message,
              AllOf(HasSubstr("weights-00000.bin"), HasSubstr("rows 16 and following of tensor"),
                    HasSubstr(std::to_string(tensor.offset + panel))));
  // In the file: nothing is taken for granted that was never right.
  flip("weights-00000.bin", tensor.offset + panel + 7);
  const auto again = weights::EngineDirectory::open(out());
  const auto opened = engine_source(c.model.config, *c.model.family, *again).value();
  const auto refused = opened->embedding(team);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("'" + tensor.name + "'"));
}

TEST_F(EngineSourceTest, AManifestOfAnotherModelIsRefused) {
  Case c = open_case("mixtral_top2_of_4", "none");
  write_engine(c);
  const auto directory = weights::EngineDirectory::open(out());
  ASSERT_TRUE(directory) << directory.error().message;
  const auto refused = [&](const auto& change) {
    ModelConfig config = c.model.config;
    change(config);
    const auto source = engine_source(config, *c.model.family, *directory);
    return source ? "opened" : source.error().message;
  };
  EXPECT_THAT(refused([](ModelConfig& m) { m.hidden *= 2; }), HasSubstr("the pages of layer 0"));
  EXPECT_THAT(refused([](ModelConfig& m) { m.vocab += 1; }), HasSubstr("embed_tokens"));
  EXPECT_THAT(refused([](ModelConfig& m) { m.layers.pop_back(); }), HasSubstr("experts of layer"));
  EXPECT_THAT(refused([](ModelConfig& m) { m.layers[1].ffn.experts = 3; }),
              HasSubstr("layer 1 has 4 experts"));
  EXPECT_THAT(refused([](ModelConfig& m) { m.layers[0].attention.qkv_bias = true; }),
              HasSubstr("q_proj.bias' is missing"));
  EXPECT_THAT(refused([](ModelConfig& m) { m.tied_embeddings = !m.tied_embeddings; }),
              HasSubstr("lm_head.weight"));
}

}  // namespace
}  // namespace sluice::models
