// sluice inspect PATH
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "base/units.h"
#include "batch/bars.h"
#include "cli/command.h"
#include "cli/engine_flags.h"
#include "cli/exit_codes.h"
#include "cli/inspect_engine.h"
#include "engine/host_memory.h"
#include "engine/model_files.h"
#include "models/checkpoint_tensors.h"
#include "models/load_tensor.h"
#include "models/weights_map.h"
#include "plan/fit.h"
#include "weights/checkpoint.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;
using base::format_bytes;
using base::format_count;

struct Inspection {
  models::ModelConfig config;
  std::map<std::string, std::map<std::string, int64_t>> bytes;  // by kind, by dtype
  int64_t stored_bytes = 0, weight_bytes = 0;
  size_t tensors = 0, files = 0;
  bool has_tokenizer = false, has_chat_template = false;
  kernels::KvDType kv_dtype = kernels::KvDType::kF32;
  int64_t available_memory = 0;
  std::optional<plan::Plan> plan;
  std::string misfit;  // why there is no plan
  Json engine;         // of an engine directory: engine_json() and engine_text()
  std::string engine_text;
  std::optional<Verification> verification;
};

bool has_template(const fs::path& directory) {
  if (fs::exists(directory / "chat_template.jinja")) return true;
  return text::ChatTemplate::from_directory(directory.string()).ok();
}

void find_text(const std::string& path, const weights::Checkpoint& checkpoint, Inspection& found) {
  if (const weights::GgufMetadata* gguf = checkpoint.gguf(); gguf != nullptr) {
    found.has_tokenizer = gguf->find("tokenizer.ggml.tokens") != nullptr;
    found.has_chat_template = gguf->find("tokenizer.chat_template") != nullptr;
  } else {
    found.has_tokenizer = fs::exists(fs::path(path) / "tokenizer.json");
    found.has_chat_template = has_template(path);
  }
}

void count_stored(const weights::Checkpoint& checkpoint, const models::Family& family,
                  Inspection& found) {
  std::map<std::string, const char*> kinds;
  const models::TensorNames& names = models::names_in(checkpoint, found.config, family);
  for (const models::TensorSlot& slot : models::tensor_table(found.config, names))
    kinds.emplace(slot.name, name(slot.use()));
  for (const weights::TensorEntry& entry : checkpoint.entries()) {
    const auto kind = kinds.find(entry.name);
    found.bytes[kind == kinds.end() ? "other" : kind->second][std::string(entry.dtype->name)] +=
        entry.bytes;
    found.stored_bytes += entry.bytes;
  }
  found.tensors = checkpoint.entries().size();
  found.files = checkpoint.files().size();
}

// Of an engine directory: as packed, the zeros between groups not counted.
void count_packed(const weights::EngineDirectory& directory, const models::WeightSource& source,
                  Inspection& found) {
  found.tensors = source.table().size();
  for (size_t i = 0; i < found.tensors; ++i) {
    const models::TensorSlot& slot = source.table()[i];
    const int64_t bytes = models::bytes_in_memory(slot, source.dtype(i));
    found.bytes[name(slot.use())][tensor::info(source.dtype(i)).name] += bytes;
    found.stored_bytes += bytes;
  }
  found.files = directory.manifest().files.size();
}

Result<Inspection> inspect(const std::string& path, bool verify_all) {
  Inspection found;
  SLUICE_ASSIGN(const engine::OpenModel opened, engine::open_model(path));
  const weights::Checkpoint& checkpoint = opened.checkpoint;
  found.config = opened.model.config;
  SLUICE_ASSIGN(const auto source, engine::open_weights(opened, "none"));
  if (opened.engine) {
    count_packed(*opened.engine, *source, found);
    found.engine = engine_json(*opened.engine);
    found.engine_text = engine_text(*opened.engine);
    if (verify_all) found.verification = verify(*opened.engine);
  } else if (verify_all) {
    return Error{ErrorCode::kInvalid, "--verify cannot apply: '" + path +
                                          "' has no checksums; 'sluice build' makes a directory "
                                          "that has"};
  } else {
    count_stored(checkpoint, *opened.model.family, found);
  }
  find_text(path, checkpoint, found);
  found.available_memory = engine::available_host_memory();
  const models::WeightNeeds needs = models::weight_needs(*source);
  found.weight_bytes = needs.bytes;
  SLUICE_ASSIGN(found.kv_dtype, plan::kv_dtype({}, needs.stored));
  auto plan = plan::fit_plan(
      found.config, plan::fit_model(needs), {},
      {.available_memory = found.available_memory, .cores = engine::available_cores()});
  if (plan) {
    found.plan = std::move(*plan);
  } else {
    found.misfit = plan.error().message;
  }
  return found;
}

Json parameters_json(const models::ModelConfig& config) {
  const models::ParameterCount count = models::count_parameters(config);
  return {{"total", count.total()},
          {"active", models::active_parameters(config)},
          {"embedding", count.embedding},
          {"attention", count.attention},
          {"router", count.router},
          {"experts", count.experts},
          {"dense_ffn", count.dense},
          {"norms", count.norms},
          {"head", count.head}};
}

Json to_json(const Inspection& found, const std::string& path) {
  const models::ModelConfig& config = found.config;
  Json json = {{"path", path},
               {"architecture", config.architecture},
               {"family", config.family},
               {"layers", config.layer_count()},
               {"hidden", config.hidden},
               {"vocab", config.vocab},
               {"max_positions", config.max_positions},
               {"experts", config.max_experts()},
               {"experts_per_token", config.max_top_k()},
               {"parameters", parameters_json(config)},
               {"tensors", found.tensors},
               {"files", found.files},
               {"stored_bytes", found.stored_bytes},
               {"stored_bytes_by_kind", found.bytes},
               {"weight_bytes", found.weight_bytes},
               {"kv_dtype", kernels::name(found.kv_dtype)},
               {"kv_bytes_per_token", models::kv_bytes_per_token(config, found.kv_dtype)},
               {"has_tokenizer", found.has_tokenizer},
               {"has_chat_template", found.has_chat_template},
               {"available_memory_bytes", found.available_memory},
               {"fits", found.plan.has_value()}};
  if (!found.engine.is_null()) json["engine"] = found.engine;
  if (found.verification) json["verified"] = to_json(*found.verification);
  if (found.plan) {
    json["plan"] = plan::to_json(*found.plan);
  } else {
    json["misfit"] = found.misfit;
  }
  return json;
}

// 46702792704 -> "46.7 B".
std::string parameters(int64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return batch::rate(value / 1e9) + " B";
  return value >= 1e6 ? batch::rate(value / 1e6) + " M" : format_count(count);
}

void row(const char* label, const std::string& text) {
  std::printf("  %s %s\n", batch::pad(label, 14).c_str(), text.c_str());
}

std::string attention_text(const models::AttentionConfig& attention) {
  return std::to_string(attention.q_heads) + " heads over " + std::to_string(attention.kv_heads) +
         " KV heads of " + std::to_string(attention.head_dim);
}

void print_layers(const models::ModelConfig& config) {
  int moe = 0;
  for (const models::LayerConfig& layer : config.layers) moe += layer.ffn.is_moe() ? 1 : 0;
  row("layers", std::to_string(config.layer_count()) + " of width " +
                    std::to_string(config.hidden) + "; " +
                    attention_text(config.layers.front().attention));
  if (moe > 0) {
    int inter = 0;
    for (const models::LayerConfig& layer : config.layers)
      if (layer.ffn.is_moe()) inter = layer.ffn.inter;
    row("experts",
        std::to_string(config.max_experts()) + " of width " + std::to_string(inter) + ", " +
            std::to_string(config.max_top_k()) + " for each token, in " +
            (moe == config.layer_count() ? "every layer" : std::to_string(moe) + " layers"));
  } else {
    row("experts", "none: every layer is dense");
  }
}

void print(const Inspection& found, const std::string& path) {
  const models::ModelConfig& config = found.config;
  std::printf("%s: %s\n", model_name(path).c_str(), config.architecture.c_str());
  const int64_t total = models::count_parameters(config).total();
  const int64_t active = models::active_parameters(config);
  row("parameters", parameters(total) + ", of which a token uses " + parameters(active) + " (" +
                        batch::percent(static_cast<double>(active) / static_cast<double>(total)) +
                        ")");
  print_layers(config);
  row("context",
      format_count(config.max_positions) + " tokens; vocabulary " + format_count(config.vocab));
  row("stored", format_bytes(static_cast<double>(found.stored_bytes)) + " in " +
                    format_count(static_cast<int64_t>(found.tensors)) + " tensors, " +
                    std::to_string(found.files) + (found.files == 1 ? " file" : " files"));
  if (!found.engine_text.empty()) row("", found.engine_text);
  for (const auto& [kind, dtypes] : found.bytes) {
    for (const auto& [dtype, bytes] : dtypes) {
      const double share = static_cast<double>(bytes) / static_cast<double>(found.stored_bytes);
      row("", batch::pad(kind, 10) + " " + batch::pad(dtype, 7) + " ▕" + batch::bar(share, 20) +
                  "▏ " + batch::pad_left(batch::percent(share), 6) + "  " +
                  format_bytes(static_cast<double>(bytes)));
    }
  }
  const int64_t kv_bytes = models::kv_bytes_per_token(config, found.kv_dtype);
  row("KV cache",
      format_bytes(static_cast<double>(kv_bytes)) + " a token in " + kernels::name(found.kv_dtype));
  row("text", std::string(found.has_tokenizer ? "a tokenizer" : "no tokenizer") + ", " +
                  (found.has_chat_template ? "a chat template" : "no chat template"));
  const std::string memory = format_bytes(static_cast<double>(found.available_memory));
  if (found.plan) {
    const std::string how = found.plan->expert_slots > 0
                                ? "with " + format_count(found.plan->expert_slots) +
                                      " experts in memory, the others on disk: "
                                : "yes: ";
    row("fits here", how + format_bytes(static_cast<double>(found.plan->total_bytes())) + " of " +
                         memory + " available, with " + std::to_string(found.plan->policy.batch) +
                         " sequences of up to " + format_count(found.plan->max_seq_len) +
                         " tokens");
  } else {
    row("fits here", "no: " + found.misfit);
  }
}

// The last line of a check, after a line for each damage; the exit code.
int conclude(const Verification& verification, bool json) {
  for (const std::string& damage : verification.damages)
    std::fprintf(stderr, "sluice: %s\n", damage.c_str());
  if (!json) {
    row("checked",
        format_count(verification.groups) + " groups, " +
            format_bytes(static_cast<double>(verification.bytes)) + ": " +
            (verification.damaged == 0 ? "all are what was written"
                                       : format_count(verification.damaged) + " damaged"));
  }
  return verification.damaged == 0 ? kOk : kFailed;
}

}  // namespace

void add_inspect(CLI::App& program, Action& action) {
  struct Flags {
    std::string path;
    bool json = false, verify = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      program.add_subcommand("inspect", "Says what a model contains, and whether it fits here");
  command
      ->add_option("PATH", flags->path,
                   "a Hugging Face directory, a GGUF file, or a built directory")
      ->required();
  command->add_flag("--json", flags->json, "as one JSON object");
  command->add_flag("--verify", flags->verify,
                    "of a built directory: read all of it and compare every checksum");
  command->footer(
      "Reads the config and the headers of the weights, not the weights.\n"
      "Examples:\n"
      "  sluice inspect examples/demo_model\n"
      "  sluice inspect model-q4 --verify");
  command->callback([flags, &action] {
    action = [flags] {
      const auto found = inspect(flags->path, flags->verify);
      if (!found) return fail(found.error());
      if (flags->json) {
        std::printf("%s\n", base::to_line(to_json(*found, flags->path)).c_str());
      } else {
        print(*found, flags->path);
      }
      return found->verification ? conclude(*found->verification, flags->json) : int{kOk};
    };
  });
}

}  // namespace sluice::cli
