#include "engine_runs.h"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <utility>

#include "device/test_machine.h"

namespace sluice::tests {
namespace {

[[noreturn]] void fail(const Error& error) {
  std::fprintf(stderr, "unexpected error: %s\n", error.message.c_str());
  std::abort();
}

bool same_logprob(const engine::TokenLogprob& a, const engine::TokenLogprob& b) {
  if (a.token != b.token || a.top.size() != b.top.size()) return false;
  if (std::bit_cast<uint32_t>(a.logprob) != std::bit_cast<uint32_t>(b.logprob)) return false;
  return a.top == b.top;
}

}  // namespace

std::string golden_model(const std::string& name) {
  return std::string(SLUICE_SOURCE_DIR "/tests/golden/") + name;
}

std::unique_ptr<engine::Engine> load_engine(const std::string& model,
                                            const engine::EngineOptions& options) {
  auto engine = engine::Engine::load(model, options);
  if (!engine) fail(engine.error());
  return std::move(engine).value();
}

StoppableRun run_until_stopped(engine::Engine& engine,
                               const std::vector<engine::Request>& requests) {
  StoppableRun run;
  engine::EventSink sink;
  sink.on_finished = [&](engine::RequestOutput&& output) {
    run.outputs.emplace(output.id, std::move(output));
  };
  sink.on_token = [&](engine::RequestId id, int, const std::string&, int32_t token) {
    run.tokens[id].push_back(token);
  };
  size_t next = 0;
  while (next < requests.size() || !engine.idle()) {
    while (next < requests.size()) {
      if (auto status = engine.submit(requests[next]); !status) {
        if (status.error().code == ErrorCode::kNoRoom) break;
        fail(status.error());
      }
      ++next;
    }
    const Status stepped = engine.step(sink);
    if (stepped) continue;
    if (stepped.error().code != ErrorCode::kFault) fail(stepped.error());
    run.stopped = stepped.error().message;
    break;
  }
  return run;
}

std::map<engine::RequestId, engine::RequestOutput> run_all(
    engine::Engine& engine, const std::vector<engine::Request>& requests) {
  StoppableRun run = run_until_stopped(engine, requests);
  if (!run.stopped.empty()) fail({ErrorCode::kFault, run.stopped});
  return std::move(run.outputs);
}

std::string fast_device(const std::string& folder) {
  const std::string path = folder + "/sluice_fast_device.json";
  if (const Status written = hardware::write_file(device::test_machine(), path); !written)
    fail(written.error());
  return "emulated:" + path;
}

std::vector<engine::Request> mixed_requests(int count, int vocab, int longest, int max_tokens) {
  std::mt19937 random(7);
  const auto tokens = [&](size_t length) {
    std::vector<int32_t> ids(length);
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<uint32_t>(vocab));
    return ids;
  };
  const std::vector<int32_t> prefixes[2] = {tokens(static_cast<size_t>(longest) / 2), tokens(40)};
  std::vector<engine::Request> requests;
  for (int i = 0; i < count; ++i) {
    engine::Request request;
    request.id = static_cast<engine::RequestId>(i) + 1;
    if (i % 3 == 0) request.prompt = prefixes[i / 3 % 2];
    const auto own = 1 + random() % static_cast<uint32_t>(longest / 2);
    for (int32_t id : tokens(own)) request.prompt.push_back(id);
    request.sampling.temperature = 0;
    request.sampling.ignore_eos = true;
    request.sampling.max_tokens = 1 + i % max_tokens;
    request.sampling.logprobs = i % 4;
    requests.push_back(std::move(request));
  }
  return requests;
}

bool same_answers(const engine::RequestOutput& a, const engine::RequestOutput& b) {
  if (a.error.has_value() != b.error.has_value() || a.choices.size() != b.choices.size()) {
    return false;
  }
  for (size_t c = 0; c < a.choices.size(); ++c) {
    const engine::Choice& x = a.choices[c];
    const engine::Choice& y = b.choices[c];
    if (x.tokens != y.tokens || x.finish != y.finish || x.text != y.text) return false;
    if (x.logprobs.size() != y.logprobs.size()) return false;
    for (size_t i = 0; i < x.logprobs.size(); ++i) {
      if (!same_logprob(x.logprobs[i], y.logprobs[i])) return false;
    }
  }
  if (a.prompt_logprobs.size() != b.prompt_logprobs.size()) return false;
  for (size_t i = 0; i < a.prompt_logprobs.size(); ++i) {
    if (a.prompt_logprobs[i].has_value() != b.prompt_logprobs[i].has_value()) return false;
    if (a.prompt_logprobs[i] && !same_logprob(*a.prompt_logprobs[i], *b.prompt_logprobs[i])) {
      return false;
    }
  }
  return true;
}

}  // namespace sluice::tests
