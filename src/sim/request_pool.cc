#include "sim/request_pool.h"

#include <filesystem>
#include <fstream>
#include <map>

#include "base/json.h"
#include "batch/answer.h"
#include "sim/batch_run.h"
#include "sim/random.h"

namespace sluice::sim {
namespace {

namespace fs = std::filesystem;

std::vector<int32_t> tokens(Random& random, int64_t count) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.below(kTinyVocab - 1));
  return ids;
}

void draw_sampling(Random& random, Json& body) {
  if (random.chance(0.5)) {
    body["temperature"] = 0;
  } else {
    body["temperature"] = 0.5 + random.share();
    if (random.chance(0.3)) body["top_p"] = 0.9;
    if (random.chance(0.3)) body["top_k"] = 20;
    if (random.chance(0.3)) body["n"] = random.between(2, 3);
  }
  body["seed"] = random.below(1 << 30);
  if (random.chance(0.2)) body["repetition_penalty"] = 1.2;
  if (random.chance(0.2)) body["presence_penalty"] = 0.5;
  if (random.chance(0.2)) body["logit_bias"] = {{"7", 3}, {"8", -100}};
  if (random.chance(0.3)) body["logprobs"] = random.below(4);
  if (random.chance(0.1) && body.contains("logprobs")) body["echo"] = true;
  if (random.chance(0.2)) body["stop_token_ids"] = tokens(random, 3);
  if (random.chance(0.5)) body["ignore_eos"] = true;
}

// Some begin alike, some are of several prompts, some cannot be answered.
std::string draw_line(Random& random, const std::vector<std::vector<int32_t>>& prefixes,
                      const std::string& custom_id, bool& error) {
  const auto prompt = [&] {
    std::vector<int32_t> ids = random.chance(0.5) ? random.pick(prefixes) : tokens(random, 0);
    for (const int32_t id : tokens(random, random.between(1, random.chance(0.2) ? 40 : 12)))
      ids.push_back(id);
    return ids;
  };
  Json body = {{"return_token_ids", true}};
  if (random.chance(0.15)) {
    body["prompt"] = Json::array();
    for (int64_t i = random.between(2, 3); i > 0; --i) body["prompt"].push_back(prompt());
  } else {
    body["prompt"] = prompt();
  }
  body["max_tokens"] = random.between(1, random.chance(0.25) ? 50 : 10);
  draw_sampling(random, body);
  error = random.chance(0.08);
  if (error) {
    switch (random.below(4)) {
      case 0:
        body["prompt"] = tokens(random, kMaxSeqLen + 1);
        break;
      case 1:
        body["temperature"] = 3;
        break;
      case 2:
        body["no_such_field"] = true;
        break;
      default:
        body["prompt"] = {1, 2, kTinyVocab};
    }
  }
  return base::to_line({{"custom_id", custom_id},
                        {"method", "POST"},
                        {"url", "/v1/completions"},
                        {"body", std::move(body)}});
}

void draw_lines(const TinyModel& model, std::vector<PoolLine>& lines) {
  uint64_t seed = 1;
  for (const char* c = model.name; *c != 0; ++c) seed = seed * 31 + static_cast<uint64_t>(*c);
  Random random(seed);
  std::vector<std::vector<int32_t>> prefixes;
  for (const int64_t length : {17, 33, 48}) prefixes.push_back(tokens(random, length));
  for (int i = 0; i < kPoolLines; ++i) {
    PoolLine line{.custom_id = "q-" + std::to_string(i)};
    line.text = draw_line(random, prefixes, line.custom_id, line.error);
    lines.push_back(std::move(line));
  }
}

// The first number behind `key` becomes 0.
void blank_number(std::string& text, const std::string& key) {
  const size_t at = text.find(key);
  if (at == std::string::npos) return;
  size_t end = at + key.size();
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  text.replace(at + key.size(), end - at - key.size(), "0");
}

}  // namespace

std::string comparable(const std::string& answer) {
  std::string text = answer;
  blank_number(text, R"("cached_tokens":)");
  blank_number(text, R"("message":"line )");
  blank_number(text, R"("line":)");
  const size_t second = text.rfind(R"("message":"line )");
  if (second == std::string::npos) return text;
  std::string tail = text.substr(second);
  blank_number(tail, R"("message":"line )");
  return text.substr(0, second) + tail;
}

std::string custom_id_of(const std::string& answer) {
  const auto head = batch::read_answer_head(answer);
  return head ? head->custom_id : "";
}

Result<ModelPool> make_pool(const TinyModel& model, const std::string& directory) {
  ModelPool pool{.model = &model};
  SLUICE_ASSIGN(pool.path, make_tiny_model(model, directory));
  draw_lines(model, pool.lines);
  const fs::path input = fs::path(directory) / (std::string(model.name) + ".jsonl");
  {
    std::ofstream file(input);
    for (const PoolLine& line : pool.lines) file << line.text << '\n';
    if (!file.flush()) return Error{ErrorCode::kIo, "cannot write " + input.string()};
  }
  const std::string output = input.string() + ".answers";
  engine::EngineOptions options;
  options.threads = 1;
  options.max_batch_size = 1;
  options.max_seq_len = kMaxSeqLen;
  options.kv_cache_memory = int64_t{1} << 20;
  options.prefix_sharing = false;
  BatchRun run({.input_path = input.string(), .output_path = output}, pool.path, options);
  SLUICE_TRY(run.answer({}));
  pool.kv_bytes_per_sequence =
      models::kv_bytes_per_token(run.engine()->config(), run.engine()->plan().kv_dtype) *
      kMaxSeqLen;
  std::map<std::string, std::string> answers;
  std::ifstream file(output);
  for (std::string line; std::getline(file, line);) answers[custom_id_of(line)] = comparable(line);
  for (PoolLine& line : pool.lines) {
    line.answer = answers[line.custom_id];
    if (line.answer.empty())
      return Error{ErrorCode::kFault, "the plain engine left '" + line.custom_id + "' of " +
                                          model.name + " without an answer"};
  }
  return pool;
}

}  // namespace sluice::sim
