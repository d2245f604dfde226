// Systems that have io_uring and do not give all of it: each in a process of its own.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

#include "io/reader.h"
#include "io/test_file.h"

namespace sluice::io {
namespace {

constexpr uid_t kNobody = 65534;

// What most containers do.
bool forbid_uring() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{std::size(program), program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// An ordinary user who may lock memory for the ring, and little more.
bool limit_locked_memory() {
  const rlimit little{512 << 10, 512 << 10};
  return ::setrlimit(RLIMIT_MEMLOCK, &little) == 0 &&
         (::geteuid() != 0 || ::setresuid(kNobody, kNobody, kNobody) == 0);
}

// Reads a file whole and ends this process: the notes go to standard error, 0 if all was right.
[[noreturn]] void read_and_exit(const std::filesystem::path& path, int64_t bytes) {
  const TestMemory memory(bytes);
  auto reader = Reader::create({});
  if (!reader) ::_exit(2);
  if (!(*reader)->open(path) || !(*reader)->register_memory(memory.all())) ::_exit(3);
  std::fprintf(stderr, "%s: %s\n", name((*reader)->backend()), (*reader)->notes().c_str());
  Completion ended[1];
  if (!(*reader)->submit({0, 0, bytes, memory.data(), 0})) ::_exit(4);
  if ((*reader)->wait(ended, 60'000) != 1 || !ended[0].status) ::_exit(5);
  ::_exit(first_wrong(memory.data(), 0, bytes) == -1 ? 0 : 6);
}

class UringLimits : public ::testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "fast");
    const auto reader = Reader::create({.backend = Backend::kUring});
    if (!reader.ok()) GTEST_SKIP() << reader.error().message;
  }
  const TestFile file_{1 << 20};
};

TEST_F(UringLimits, ThreadsReadWhereUringIsForbidden) {
  const auto read = [&] {
    if (!forbid_uring()) ::_exit(1);
    read_and_exit(file_.path(), file_.bytes());
  };
  EXPECT_EXIT(read(), ::testing::ExitedWithCode(0),
              "threads: reads go through threads: the kernel refuses io_uring \\(Operation not "
              "permitted\\)");
}

TEST_F(UringLimits, MemoryThatMayNotBeLockedIsReadIntoAllTheSame) {
  const auto read = [&] {
    if (!limit_locked_memory()) ::_exit(1);
    read_and_exit(file_.path(), file_.bytes());
  };
  EXPECT_EXIT(
      read(), ::testing::ExitedWithCode(0),
      "io_uring: memory is not registered: 1.0 MiB are more than may be locked \\(512 KiB\\)");
}

}  // namespace
}  // namespace sluice::io
