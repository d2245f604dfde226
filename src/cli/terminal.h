// The terminal a person sits at, and the keys that interrupt.
#pragma once

#include <atomic>

namespace sluice::cli {

bool is_terminal(int fd);

// Columns of the terminal at `fd`; 100 when it is none.
int columns(int fd);

// Ctrl-C and SIGTERM count up, from 0, in the returned counter until restore_interrupts(). With
// `and_exit` a third one ends the process, should nothing else.
std::atomic<int>& count_interrupts(bool and_exit);
void restore_interrupts();

}  // namespace sluice::cli
