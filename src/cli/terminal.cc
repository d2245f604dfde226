#include "cli/terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/exit_codes.h"

namespace sluice::cli {
namespace {

// A signal handler can reach nothing else.
std::atomic<int> interrupts{0};
std::atomic<bool> exit_at_third{false};
static_assert(std::atomic<int>::is_always_lock_free);

void on_signal(int) {
  if (interrupts.fetch_add(1) >= 2 && exit_at_third) ::_exit(kInterrupted);
}

void handle(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

int columns(int fd) {
  constexpr int kDefaultColumns = 100;
  struct winsize size = {};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultColumns;
  return size.ws_col;
}

std::atomic<int>& count_interrupts(bool and_exit) {
  interrupts = 0;
  exit_at_third = and_exit;
  handle(on_signal);
  return interrupts;
}

void restore_interrupts() { handle(SIG_DFL); }

}  // namespace sluice::cli
