// Where the search puts experts, and what it expects of them that are computed where each is
// sooner.
#include "planner/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "base/check.h"
#include "planner/planner.h"
#include "planner/test_subject.h"

namespace sluice::planner {
namespace {

using plan::Place;
using schedule::Lane;

const Workload kWorkload{"w", {{77, 64, 4096}}};

Candidate cgopipe(int64_t micro_batch, int64_t micro_batches, Place experts) {
  Candidate candidate;
  candidate.policy = {.schedule = "cgopipe",
                      .batch = micro_batch * micro_batches,
                      .micro_batch = micro_batch,
                      .attention_on = Place::kHost,
                      .experts_on = experts,
                      .resident_weights = 0};
  candidate.max_num_tokens = 512;
  return candidate;
}

double tokens_per_second(const TestSubject& f, Place experts) {
  return estimate(f.subject(), cgopipe(64, 8, experts), kWorkload).tokens_per_second;
}

Place chosen(const TestSubject& f) {
  const Search found = search(f.subject(), kWorkload, {.schedules = {"cgopipe"}, .batch = 512});
  SLUICE_CHECK(!found.finalists.empty(), "512 sequences have room");
  return found.finalists.front().candidate.policy.experts_on;
}

// A host that hardly computes: what moves is better moved.
TEST(ExpertPlaces, TheDeviceWinsWhereTheHostIsSlow) {
  TestSubject f;
  f.machine.rates(Lane::kHostCompute).flops_per_second = 1e9;
  f.machine.device_memory = int64_t{1} << 34;
  EXPECT_GT(tokens_per_second(f, Place::kDevice), tokens_per_second(f, Place::kHost));
  EXPECT_EQ(tokens_per_second(f, Place::kDevice), tokens_per_second(f, Place::kAuto));
  EXPECT_EQ(chosen(f), Place::kDevice);
}

// A link that takes longer for one page than the host for all experts.
TEST(ExpertPlaces, TheHostWinsBehindASlowLink) {
  TestSubject f;
  f.set_link(2e7);
  f.machine.device_memory = int64_t{1} << 34;
  EXPECT_GT(tokens_per_second(f, Place::kHost), tokens_per_second(f, Place::kDevice));
  EXPECT_EQ(tokens_per_second(f, Place::kHost), tokens_per_second(f, Place::kAuto));
  // There are slots, and what stays in one has crossed the link for good.
  EXPECT_EQ(chosen(f), Place::kAuto);
}

TEST(ExpertPlaces, SharedOutTheyAreSoonestWhereLinkAndHostTakeAsLong) {
  TestSubject f;
  f.machine.device_memory = int64_t{1} << 34;
  const double both = tokens_per_second(f, Place::kAuto);
  EXPECT_GT(both, 1.05 * tokens_per_second(f, Place::kDevice));
  EXPECT_GT(both, 1.05 * tokens_per_second(f, Place::kHost));
  EXPECT_EQ(chosen(f), Place::kAuto);
}

TEST(ExpertPlaces, AreThoseThatMayBeChosen) {
  const TestSubject f;
  for (const Place place : {Place::kDevice, Place::kHost, Place::kAuto}) {
    const Search found = search(f.subject(), kWorkload, {.experts_on = {place}, .batch = 512});
    ASSERT_FALSE(found.finalists.empty());
    for (const Choice& choice : found.finalists)
      if (find_schedule(choice.candidate.policy.schedule)->device) {
        EXPECT_EQ(choice.candidate.policy.experts_on, place);
      }
  }
  // Systems of the paper know no such choice.
  const Search found =
      search(f.subject(), kWorkload, {.schedules = {"moe_lightning"}, .batch = 512});
  EXPECT_EQ(found.finalists.size(), 2u);
}

TEST(Search, InStridesFindsNearlyAsMuch) {
  TestSubject f;
  for (const int64_t memory : {int64_t{1} << 33, int64_t{1} << 34, int64_t{3} << 33}) {
    f.machine.device_memory = memory;
    const Search whole = search(f.subject(), kWorkload, {});
    for (const int stride : {2, 3, 4}) {
      const Search some = search(f.subject(), kWorkload, {.stride = stride});
      ASSERT_FALSE(some.finalists.empty());
      EXPECT_LT(3 * some.costed, 2 * whole.costed) << stride;
      EXPECT_GT(some.finalists.front().estimate.tokens_per_second,
                0.93 * whole.finalists.front().estimate.tokens_per_second)
          << stride;
    }
  }
}

TEST(Search, IsNeverWorseThanWhatItBeginsWith) {
  const TestSubject f;
  const Search whole = search(f.subject(), kWorkload, {});
  ASSERT_FALSE(whole.finalists.empty());
  const Choice& best = whole.finalists.front();
  // So few sizes that none of them is any good.
  const Search some = search(f.subject(), kWorkload, {.first = best.candidate, .stride = 1000});
  EXPECT_GE(some.finalists.front().estimate.tokens_per_second,
            best.estimate.tokens_per_second * (1 - 1e-6));
  const Search other = search(f.subject(), kWorkload,
                              {.schedules = {"resident"}, .first = best.candidate, .stride = 1000});
  for (const Choice& choice : other.finalists)
    EXPECT_EQ(choice.candidate.policy.schedule, "resident");
}

// What the device does not compute the host does, whatever is assumed of the routing.
TEST(HostExperts, EveryTokenIsComputedOnce) {
  TestSubject f;
  for (const double exponent : {0.0, 0.7, 1.5}) {
    f.layers = layers_of(f.model, {.zipf_exponent = exponent});
    for (const char* schedule : {"cgopipe", "kv_prefetch", "serial"}) {
      for (const double decode : {1.0, 6.0, 64.0, 500.0}) {
        Candidate candidate = cgopipe(64, 4, Place::kAuto);
        candidate.policy.schedule = schedule;
        candidate.policy.attention_on = find_schedule(schedule)->attention_on;
        const Pass pass =
            pass_of(f.subject(), candidate, {.decode = decode, .decode_context = 100}, false, true);
        double flops = 0;
        for (const WorkTime& work : pass.work)
          if (work.what == std::string_view("expert_group")) flops += work.cost.flops;
        const double each = 6.0 * 4096 * 14336 + 6.0 * 14336;
        EXPECT_NEAR(flops, each * decode * 2 * 4 * 32, 1e-6 * flops) << schedule << " " << decode;
      }
    }
  }
}

// The roofline's expectation of what the schedule decides anew each time is what comes of it.
TEST(HostExperts, AreWhatAReplayComesTo) {
  const Workload workload{"w", {{77, 64, 128}}};
  for (const double exponent : {0.0, 0.8}) {
    for (const double link : {4e9, 2e10}) {
      TestSubject f;
      f.model.layers.resize(4);
      f.layers = layers_of(f.model, {.zipf_exponent = exponent});
      f.weights = weight_sizes(f.model, "none").value();
      f.set_link(link);
      Candidate candidate = cgopipe(16, 4, Place::kAuto);
      ASSERT_FALSE(settle(f.subject(), workload, candidate));
      candidate.policy.resident_weights = 6.0 / 32;  // slots that experts only pass through
      const plan::Plan plan = plan_of(f.subject(), candidate, workload).value();
      const auto replayed = replay(f.subject(), plan, workload, {.tasks = 40'000}).value();
      const Estimate expected = estimate(f.subject(), candidate, workload);
      const double generated = static_cast<double>(workload.count()) * workload.mean_generated();
      const auto near = [&](double replayed_seconds, double seconds, const char* what) {
        const double each = seconds / generated;
        EXPECT_NEAR(replayed_seconds / static_cast<double>(replayed.tokens), each, 0.2 * each)
            << what << ", Zipf " << exponent << ", link " << link;
      };
      near(replayed.seconds, expected.seconds, "all");
      for (const Lane lane : {Lane::kHostCompute, Lane::kDeviceCompute}) {
        const auto at = static_cast<size_t>(lane);
        near(replayed.busy[at], expected.busy[at], schedule::name(lane));
      }
    }
  }
}

// The less used experts, and the more of them the slower the link.
TEST(HostExperts, AreMoreBehindASlowerLink) {
  TestSubject f;
  f.layers = layers_of(f.model, {.zipf_exponent = 0.5});
  const Candidate candidate = cgopipe(64, 4, Place::kAuto);
  double share = 0;
  for (const double link : {1e12, 3e10, 1e10, 3e9, 1e9, 2e7}) {
    f.set_link(link);
    const Pass pass = pass_of(f.subject(), candidate, {.decode = 64, .decode_context = 100});
    EXPECT_GE(pass.host_experts, share) << link;
    share = pass.host_experts;
  }
  EXPECT_EQ(share, 1);
}

TEST(HostExperts, OfFewRowsAreSomeButBehindAFastLink) {
  TestSubject f;
  const Candidate candidate = cgopipe(4, 4, Place::kAuto);
  const auto share = [&] {
    return pass_of(f.subject(), candidate, {.decode = 4, .decode_context = 100}).host_experts;
  };
  EXPECT_GT(share(), 0);
  f.set_link(1e13);
  f.machine.rates(Lane::kHostCompute).bytes_per_second = 1e9;
  EXPECT_EQ(share(), 0);
}

// A host whose memory the cache of a large batch would fill, and whose disk has room.
struct DiskSubject : TestSubject {
  DiskSubject() {
    machine.devices = 0;
    machine.disk_bytes = int64_t{1} << 42;
    machine.rates(Lane::kDisk) = {.bytes_per_second = 4e9};
    machine.host_memory = int64_t{24} << 30;
  }
};

Candidate layer_stream(double resident_kv) {
  Candidate candidate;
  candidate.policy = {.schedule = "layer_stream", .batch = 64, .micro_batch = 32};
  candidate.host_weights = candidate.policy.resident_weights = 0.5;
  candidate.policy.resident_kv = resident_kv;
  candidate.max_num_tokens = 512;
  return candidate;
}

TEST(CacheOnDisk, IsReadAndGrowsAtTheDisksRate) {
  const DiskSubject f;
  const double token = 2 * 8 * 128 * 2;  // bytes of a layer
  const auto bytes = [&](double resident_kv) {
    const Candidate candidate = layer_stream(resident_kv);
    const Pass pass =
        pass_of(f.subject(), candidate, {.decode = 32, .decode_context = 100}, false, true);
    double sum = 0;
    for (const WorkTime& work : pass.work)
      if (work.what == std::string_view("kv")) {
        EXPECT_EQ(work.lane, Lane::kDisk);
        EXPECT_NEAR(work.seconds, work.cost.bytes() / 4e9, 1e-6 * work.seconds);
        sum += work.cost.bytes();
      }
    return sum;
  };
  EXPECT_EQ(bytes(1), 0);
  EXPECT_NEAR(bytes(0), 2 * 32 * 32.0 * (100 + 1) * token, 1);
  EXPECT_NEAR(bytes(0.75), bytes(0) / 4, 1);
}

// And what is being filled: a block of each sequence.
TEST(CacheOnDisk, LeavesItsShareAndWindowsInMemory) {
  const DiskSubject f;
  const Footprint all = footprint(f.subject(), layer_stream(1), kWorkload);
  EXPECT_EQ(all.disk_kv, 0);
  for (const double share : {0.0, 0.25, 0.5}) {
    const Footprint some = footprint(f.subject(), layer_stream(share), kWorkload);
    const auto whole = static_cast<double>(all.host_kv);
    EXPECT_NEAR(static_cast<double>(some.disk_kv), (1 - share) * whole, 0.01 * whole);
    EXPECT_GT(some.host_kv + some.disk_kv, all.host_kv);
    EXPECT_LT(some.host_kv, all.host_kv);
  }
}

TEST(CacheOnDisk, IsChosenWhereMemoryBindsTheBatch) {
  DiskSubject f;
  const auto best = [&](bool kv_on_disk) {
    const Search found = search(f.subject(), kWorkload, {.kv_on_disk = kv_on_disk});
    SLUICE_CHECK(!found.finalists.empty(), "a small batch has room");
    return found.finalists.front();
  };
  f.machine.rates(Lane::kHostCompute).flops_per_second = 1e14;
  const Choice without = best(false), with = best(true);
  EXPECT_EQ(without.candidate.policy.resident_kv, 1);
  EXPECT_LT(with.candidate.policy.resident_kv, 1);
  EXPECT_GT(with.candidate.policy.batch, without.candidate.policy.batch);
  EXPECT_GT(with.estimate.tokens_per_second, 1.2 * without.estimate.tokens_per_second);
  // Of equals the one that does without.
  f.machine.rates(Lane::kHostCompute).flops_per_second = 1e11;
  f.machine.host_memory = int64_t{512} << 30;
  EXPECT_EQ(best(true).candidate.policy.resident_kv, 1);
  const SearchOptions half{.kv_on_disk = true, .resident_kv = 0.5};
  EXPECT_EQ(search(f.subject(), kWorkload, half).finalists.front().candidate.policy.resident_kv,
            0.5);
  // No room on the disk either.
  f.machine.rates(Lane::kHostCompute).flops_per_second = 1e14;
  f.machine.host_memory = int64_t{24} << 30;
  f.machine.disk_bytes = 1;
  EXPECT_EQ(best(true).candidate.policy.resident_kv, 1);
}

// One sequence to a micro-batch takes more activations than there is room for; more take fewer.
TEST(Search, ABatchOfAGivenSizeIsTriedInEverySize) {
  TestSubject f;
  f.machine.host_memory = int64_t{110} << 30;
  const SearchOptions options{.schedules = {"cgopipe"}, .batch = 512};
  const Search found = search(f.subject(), kWorkload, options);
  EXPECT_GT(found.without_room, 0);
  ASSERT_FALSE(found.finalists.empty());
  EXPECT_EQ(found.finalists.front().candidate.policy.batch, 512);
}

}  // namespace
}  // namespace sluice::planner
