// What an op runs on: the table of inner loops for this CPU, and the team that shares the work.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/thread_team.h"
#include "kernels/isa.h"

namespace sluice::kernels {

const char* name(Isa isa);
std::optional<Isa> parse_isa(std::string_view name);

// The ISAs that this binary holds and this CPU runs, worst first; kScalar is always there.
std::span<const Isa> available_isas();
Isa best_isa();

struct OpTable;  // inner loops of one ISA; kernels' own business

const OpTable& op_table(Isa isa);  // a bug if the CPU cannot run it

// Passed to every op. Ops never allocate: their scratch is the caller's.
struct Exec {
  const OpTable* ops = nullptr;
  base::ThreadTeam* team = nullptr;
};

}  // namespace sluice::kernels
