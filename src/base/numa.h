// Memory nodes: on a machine with several, each belongs to some of the cores, and all cores
// together read fastest what is spread over all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace sluice::base {

constexpr int kMaxNumaNodes = 1024;  // as the kernel numbers them, from 0
constexpr int kMaxCores = 1 << 16;

struct NumaNode {
  int id = 0;
  std::vector<int> cores;  // in order; none where a node is memory alone

  bool operator==(const NumaNode&) const = default;
};

struct NumaNodes {
  std::vector<NumaNode> nodes;  // those that are online and have memory, in order

  bool operator==(const NumaNodes&) const = default;
};

// A list of cores or nodes as the kernel writes it, "0-3,8", in order; empty for an empty line.
// Nothing for another text, or a number that is not below `limit`.
std::optional<std::vector<int>> parse_number_list(std::string_view text, int limit);

// What the tree of sysfs at `root` says; no nodes where it says nothing, or nothing that is a list.
NumaNodes read_numa_nodes(const std::filesystem::path& root);

// The nodes that /proc/PID/status, read from `status`, lets the process take memory from. Nothing
// where it does not say.
std::optional<std::vector<int>> read_allowed_nodes(const std::filesystem::path& status);

// Where to spread memory that threads on all of `cores` read: the ids of the nodes that have one of
// them and are in `allowed` (nothing: all are). Empty if they are fewer than two: there is nothing
// to choose.
std::vector<int> nodes_to_interleave(const NumaNodes& nodes, std::span<const int> cores,
                                     const std::optional<std::vector<int>>& allowed);

// The same of this machine, for the cores that this process may run on.
std::vector<int> own_nodes_to_interleave();

// Has the pages of [begin, begin + bytes), of which none was touched yet, come from `nodes` in
// turn: whole pages, large ones where the system makes them. False if the system refuses, as
// containers may.
bool interleave(std::byte* begin, int64_t bytes, std::span<const int> nodes);

// The node of each page of [begin, begin + bytes), which begins at a page; -1 for one that was not
// touched. Nothing where the system does not say.
std::optional<std::vector<int>> nodes_of_pages(const std::byte* begin, int64_t bytes);

}  // namespace sluice::base
