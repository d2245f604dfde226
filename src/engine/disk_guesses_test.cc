// The disk lane's reads that nobody has asked for: behind what is needed, and without a trace where
// they go wrong.
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/test_path.h"
#include "engine/disk_runner.h"
#include "io/faults.h"
#include "weights/checksum.h"

namespace sluice::engine {
namespace {

namespace fs = std::filesystem;
using Start = pipeline::AsyncTaskRunner::Start;

constexpr int kExperts = 24;

// Two layers of experts in a file of pages, all zeros.
class PageFile final : public models::WeightSource {
 public:
  PageFile(const fs::path& path, const models::ExpertPage& page) : files_{path}, page_(page) {
    const std::vector<char> zeros(static_cast<size_t>(page.bytes));
    std::ofstream out(path, std::ios::binary);
    for (int i = 0; i < 2 * kExperts; ++i) out.write(zeros.data(), page.bytes);
    checksum_ = weights::crc32c(std::as_bytes(std::span(zeros)));
  }
  models::ExpertPage page(int) const override { return page_; }
  std::optional<PageAt> page_at(int layer, int expert) const override {
    return PageAt{.offset = (layer * kExperts + expert) * page_.bytes, .bytes = page_.bytes};
  }
  std::span<const fs::path> files() const override { return files_; }
  uint32_t page_checksum(int, int) const override { return checksum_; }

  const std::vector<models::TensorSlot>& table() const override { return table_; }
  tensor::DType dtype(size_t) const override { return tensor::DType::kF32; }
  tensor::DType stored() const override { return tensor::DType::kF32; }
  Status read(size_t, std::byte*, base::ThreadTeam&) override { return {}; }
  int64_t room(size_t) const override { return 0; }
  Status load(std::span<const Wanted>, base::ThreadTeam&, const models::LoadOptions&) override {
    return {};
  }
  Status check_pages() const override { return {}; }
  Status read_page(int, int, std::byte*, base::ThreadTeam*) override { return {}; }
  void prefetch_page(int, int) const override {}
  Result<std::unique_ptr<models::EmbeddingSource>> embedding(base::ThreadTeam&) const override {
    return Error{ErrorCode::kUnsupported, "it has experts alone"};
  }

 private:
  std::vector<fs::path> files_;
  models::ExpertPage page_;
  uint32_t checksum_ = 0;
  std::vector<models::TensorSlot> table_;
};

// By page; counts the reads.
class PageFaults final : public io::Faults {
 public:
  explicit PageFaults(int64_t page_bytes) : page_bytes_(page_bytes) {}
  io::Fault of_read(io::FileId, int64_t offset, int64_t) override {
    const auto page = static_cast<size_t>(offset / page_bytes_);
    read.push_back(static_cast<int>(page));
    return of[page];
  }
  std::vector<io::Fault> of = std::vector<io::Fault>(2 * kExperts);
  std::vector<int> read;

 private:
  int64_t page_bytes_;
};

class DiskGuesses : public ::testing::Test {
 protected:
  void SetUp() override {
    models::LayerConfig layer;
    layer.ffn = {.inter = 32, .experts = kExperts, .top_k = 2};
    config_.layers = {layer, layer};
    config_.hidden = 32;
    weights_.layers.resize(2);
    for (models::LayerWeights& l : weights_.layers) l.experts.resize(kExperts);
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = base::test_path("guesses_" + std::string(test->name()));
    source_ = std::make_unique<PageFile>(path_, page_);
  }
  void TearDown() override {
    disk_.reset();
    fs::remove(path_);
  }

  void open(int64_t slots, int64_t guess_bytes = int64_t{1} << 20) {
    paging_ =
        ExpertPaging::create(
            config_, {.layouts = {page_, page_}, .slots = slots, .moving = slots, .holders = 2},
            weights_)
            .value();
    disk_ = DiskRunner::create(paging_.get(), source_.get(),
                               {.environment = &environment_,
                                .times = &times_,
                                .faults = &faults_,
                                .guess_bytes = guess_bytes})
                .value();
  }
  Start start(int layer, int expert, schedule::Urgency urgency) {
    const schedule::Task task{
        .work = schedule::Transfer{.from = schedule::Level::kDisk,
                                   .to = schedule::Level::kHost,
                                   .pages = {paging_->pages().id(layer, expert), 1},
                                   .bytes = page_.bytes,
                                   .urgency = urgency},
        .lane = schedule::Lane::kDisk,
        .layer = static_cast<int16_t>(layer)};
    return disk_->start(task, {.user = 0}, ++token_).value();
  }
  void guess(const std::vector<int>& experts, int layer = 1) {
    std::vector<int32_t> points(kExperts);
    for (const int expert : experts) points[static_cast<size_t>(expert)] = 1;
    paging_->add_guess(0, layer, points);
    for (const int expert : experts) {
      EXPECT_EQ(start(layer, expert, schedule::Urgency::kGuess), Start::kDone);
    }
    points_ = points;
  }
  void routed(const std::vector<int>& experts) {
    std::vector<int32_t> tokens(kExperts);
    for (const int expert : experts) tokens[static_cast<size_t>(expert)] = 1;
    paging_->end_guess(0, 1, points_, tokens);
  }
  // Until no read is under way; what ended.
  std::vector<pipeline::AsyncTaskRunner::Ended> drain(size_t expected) {
    std::vector<pipeline::AsyncTaskRunner::Ended> all;
    pipeline::AsyncTaskRunner::Ended ended[16];
    for (int i = 0; i < 1000 && (all.size() < expected || disk_->outlived() > 0); ++i) {
      const size_t count = disk_->poll(ended, 10);
      all.insert(all.end(), ended, ended + count);
    }
    return all;
  }
  bool there(int layer, int expert) const {
    return paging_->pages().resident(paging_->pages().id(layer, expert));
  }

  const models::ExpertPage page_ =
      models::expert_page(32, 32, tensor::DType::kF32, tensor::DType::kF32, tensor::DType::kF32);
  models::ModelConfig config_;
  models::ModelWeights weights_;
  fs::path path_;
  std::unique_ptr<PageFile> source_;
  PageFaults faults_{page_.bytes};
  Environment environment_;
  LaneTimes times_;
  std::unique_ptr<ExpertPaging> paging_;
  std::unique_ptr<DiskRunner> disk_;
  std::vector<int32_t> points_;
  uint64_t token_ = 0;
};

TEST_F(DiskGuesses, AreReadBehindTheirTasks) {
  open(8);
  guess({3, 5});
  EXPECT_EQ(disk_->outlived(), 2);
  EXPECT_TRUE(drain(0).empty());
  EXPECT_TRUE(there(1, 3) && there(1, 5));
  routed({3, 6});
  EXPECT_EQ(start(1, 3, schedule::Urgency::kNeeded), Start::kDone);
  const DiskStats stats = disk_->stats();
  EXPECT_EQ(stats.guesses.experts, 2);
  EXPECT_EQ(stats.guesses.right, 1);
  EXPECT_EQ(stats.guesses.pages, 2);
  EXPECT_EQ(stats.guesses.useless_pages, 1);
  EXPECT_EQ(stats.guesses.useless_bytes, page_.bytes);
  EXPECT_EQ(stats.pages, 1);
  EXPECT_EQ(stats.bytes, page_.bytes);
  EXPECT_GT(stats.guesses.useful_seconds, 0);
  EXPECT_EQ(times_.stats(base::steady_clock().now())[static_cast<size_t>(schedule::Lane::kDisk)]
                .busy_seconds,
            0);
}

TEST_F(DiskGuesses, WaitWhileTheDiskIsBusy) {
  open(8, 1);
  faults_.of[2].stall_ms = 30;
  EXPECT_EQ(start(0, 2, schedule::Urgency::kNeeded), Start::kStarted);
  guess({3, 5});
  EXPECT_EQ(faults_.read, std::vector<int>{2});
  EXPECT_EQ(drain(1).size(), 1u);
  EXPECT_EQ(faults_.read, (std::vector<int>{2, kExperts + 3, kExperts + 5}));
}

TEST_F(DiskGuesses, AreForgottenWhenTheRouterHasSpoken) {
  open(8, 1);
  faults_.of[2].stall_ms = 30;
  EXPECT_EQ(start(0, 2, schedule::Urgency::kNeeded), Start::kStarted);
  guess({3, 5});
  routed({4});
  drain(1);
  EXPECT_EQ(faults_.read, std::vector<int>{2});
}

TEST_F(DiskGuesses, AreForgottenWhereThereIsNoRoom) {
  open(2);
  // One slot is left to what is needed.
  faults_.of[kExperts + 3].stall_ms = 30;
  guess({3, 5, 6});
  EXPECT_EQ(start(0, 0, schedule::Urgency::kNeeded), Start::kStarted);
  EXPECT_EQ(start(0, 1, schedule::Urgency::kNeeded), Start::kNoRoom);
  drain(1);
  EXPECT_EQ(faults_.read, (std::vector<int>{kExperts + 3, 0}));
  EXPECT_EQ(start(0, 1, schedule::Urgency::kNeeded), Start::kStarted);
  EXPECT_EQ(drain(1).size(), 1u);
}

TEST_F(DiskGuesses, AreJoinedByWhoeverNeedsThem) {
  open(8);
  faults_.of[kExperts + 3].stall_ms = 20;
  guess({3});
  routed({3});
  EXPECT_EQ(start(1, 3, schedule::Urgency::kNeeded), Start::kStarted);
  EXPECT_EQ(disk_->outlived(), 0);
  const auto ended = drain(1);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_TRUE(ended[0].status.ok());
  EXPECT_EQ(faults_.read, std::vector<int>{kExperts + 3});
  EXPECT_GT(times_.stats(base::steady_clock().now())[static_cast<size_t>(schedule::Lane::kDisk)]
                .busy_seconds,
            0);
}

// Nobody is told, and the page is left alone until it is needed.
TEST_F(DiskGuesses, ThatCannotBeReadFailNothing) {
  open(8);
  faults_.of[kExperts + 3].error = EIO;
  guess({3, 5});
  EXPECT_TRUE(drain(0).empty());
  EXPECT_FALSE(there(1, 3));
  EXPECT_TRUE(there(1, 5));
  guess({3});
  EXPECT_EQ(disk_->outlived(), 0);
  routed({3});
  faults_.of[kExperts + 3].error = 0;
  EXPECT_EQ(start(1, 3, schedule::Urgency::kNeeded), Start::kStarted);
  const auto ended = drain(1);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_TRUE(ended[0].status.ok());
  EXPECT_TRUE(there(1, 3));
}

// A page that is needed does not find the disk full of guesses.
TEST_F(DiskGuesses, AreFewAtATime) {
  open(48);
  for (io::Fault& fault : faults_.of) fault.stall_ms = 30;
  std::vector<int> all(kExperts);
  for (int e = 0; e < kExperts; ++e) all[static_cast<size_t>(e)] = e;
  guess(all);
  EXPECT_EQ(disk_->outlived(), DiskRunner::kMostGuesses);
  EXPECT_TRUE(drain(0).empty());
  EXPECT_EQ(faults_.read.size(), static_cast<size_t>(kExperts));
}

}  // namespace
}  // namespace sluice::engine
