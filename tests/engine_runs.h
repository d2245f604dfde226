// Runs a set of requests through an engine to the end: what the tests across folders share.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace sluice::tests {

std::string golden_model(const std::string& name);  // its directory

// Outputs by request id. Aborts the test program on any error: tests that expect one do not use
// this.
std::map<engine::RequestId, engine::RequestOutput> run_all(
    engine::Engine& engine, const std::vector<engine::Request>& requests);

// The same where a fault of the machine may stop the engine.
struct StoppableRun {
  std::map<engine::RequestId, engine::RequestOutput> outputs;
  std::map<engine::RequestId, std::vector<int32_t>> tokens;  // as they were told
  std::string stopped;  // why the engine did; empty: it did not
};
// Until nothing is left to do, or the engine stops.
StoppableRun run_until_stopped(engine::Engine& engine,
                               const std::vector<engine::Request>& requests);

std::unique_ptr<engine::Engine> load_engine(const std::string& model,
                                            const engine::EngineOptions& options);

// EngineOptions::device of a machine so fast that nobody waits for it; its file goes to `folder`.
std::string fast_device(const std::string& folder);

// `count` greedy requests with logprobs and prompts of random tokens, 1 to `longest` long; every
// third begins with one of two shared prefixes. Deterministic.
std::vector<engine::Request> mixed_requests(int count, int vocab, int longest, int max_tokens);

// Equal tokens, finish reasons, and bit-equal log-probabilities.
bool same_answers(const engine::RequestOutput& a, const engine::RequestOutput& b);

}  // namespace sluice::tests
