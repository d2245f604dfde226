#include "engine/build_engine.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "base/thread_team.h"
#include "engine/engine_beside.h"
#include "engine/host_memory.h"
#include "engine/model_files.h"
#include "memory/arena.h"
#include "models/engine_contents.h"
#include "models/read_ahead.h"
#include "weights/engine_writer.h"

namespace sluice::engine {
namespace {

// All that is known before the first byte is written.
struct Build {
  OpenModel opened;
  std::unique_ptr<models::WeightSource> source;
  std::vector<models::EngineGroup> groups;
  weights::EnginePlaces places;
  std::vector<weights::BesideText> beside;
  weights::EngineManifest manifest;
  weights::BuildIdentity identity;
};

Status prepare(const std::string& model, const BuildOptions& options, Build& build) {
  SLUICE_ASSIGN(build.opened, open_model(model));
  if (build.opened.engine) {
    return Error{ErrorCode::kInvalid,
                 "'" + model + "' is an engine directory already; build from the model '" +
                     build.opened.engine->manifest().source_name + "' that it came from"};
  }
  // A tokenizer that cannot be read is told now, not when the directory is used.
  if (auto files = read_model_files(model, build.opened); !files) return files.error();
  SLUICE_ASSIGN(build.source, open_weights(build.opened, options.quant));
  SLUICE_TRY(build.source->check_pages());
  build.groups = models::engine_groups(*build.source);
  std::vector<int64_t> sizes;
  for (const models::EngineGroup& group : build.groups) sizes.push_back(group.bytes);
  build.places = weights::place_groups(sizes);
  SLUICE_ASSIGN(build.beside, beside_of(model, build.opened));
  SLUICE_ASSIGN(build.manifest, manifest_of(model, build.opened, build.beside));
  build.manifest.program = options.program;
  build.manifest.quantization = options.quant;
  build.manifest.stored = build.source->stored();
  build.identity = {.model = build.manifest.source_fingerprint,
                    .quantization = options.quant,
                    .program = options.program,
                    .groups = static_cast<int64_t>(build.groups.size()),
                    .bytes = build.places.bytes};
  return {};
}

BuildResult result_of(const Build& build) {
  BuildResult result;
  for (const models::EngineGroup& group : build.groups) {
    (group.is_page() ? result.pages : result.tensors) += 1;
    result.state.bytes += group.bytes;
    result.buffer_bytes = std::max(result.buffer_bytes, group.bytes);
  }
  result.files = static_cast<int64_t>(build.places.files.size());
  result.directory_bytes = build.places.bytes;
  result.fingerprint =
      weights::engine_fingerprint(build.identity.model, build.identity.quantization);
  return result;
}

// Every group that is not there yet, one at a time.
Status write_groups(Build& build, const BuildOptions& options, weights::EngineWriter& writer,
                    BuildResult& result) {
  const auto start = std::chrono::steady_clock::now();
  base::ThreadTeam team(options.threads > 0 ? options.threads : available_cores());
  SLUICE_ASSIGN(memory::Arena arena, memory::Arena::create(result.buffer_bytes));
  const auto buffer = arena.allocate("group", result.buffer_bytes, kernels::kPackAlignment);
  std::vector<int64_t> ends;
  for (const models::EngineGroup& group : build.groups)
    ends.push_back((ends.empty() ? 0 : ends.back()) + group.bytes);
  models::ReadAhead ahead(std::move(ends));
  for (size_t i = 0; i < build.groups.size(); ++i) {
    if (writer.has(i)) continue;
    if (options.stop_requested != nullptr && *options.stop_requested > 0) {
      result.stopped = true;
      break;
    }
    ahead.reach(i, [&](size_t next) {
      const models::EngineGroup& group = build.groups[next];
      if (group.is_page() && !writer.has(next))
        build.source->prefetch_page(group.layer, group.expert);
    });
    const auto bytes = buffer.first(static_cast<size_t>(build.groups[i].bytes));
    SLUICE_TRY(models::read_group(*build.source, build.groups[i], bytes.data(), team));
    SLUICE_TRY(writer.write(i, bytes));
    result.state.done += build.groups[i].bytes;
    result.state.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (options.on_progress) options.on_progress(result.state);
  }
  return result.stopped ? writer.sync() : Status();
}

}  // namespace

Result<BuildResult> build_engine(const std::string& model, const std::string& out,
                                 const BuildOptions& options) {
  Build build;
  SLUICE_TRY(prepare(model, options, build));
  BuildResult result = result_of(build);
  SLUICE_ASSIGN(const bool finished, weights::finish_named(out, build.identity));
  if (finished) {
    result.state.done = result.state.found = result.state.bytes;
    return result;
  }
  int64_t beside_bytes = 0;
  for (const weights::BesideText& file : build.beside)
    beside_bytes += static_cast<int64_t>(file.bytes.size());
  SLUICE_ASSIGN(weights::EngineWriter writer,
                weights::EngineWriter::open(out, build.identity, build.places, beside_bytes));
  result.state.found = result.state.done = writer.bytes_found();
  SLUICE_TRY(write_groups(build, options, writer, result));
  if (result.stopped) return result;
  std::vector<uint32_t> checksums;
  for (size_t i = 0; i < build.groups.size(); ++i) checksums.push_back(writer.checksum(i));
  models::describe_groups(*build.source, build.groups, build.places, checksums, build.manifest);
  SLUICE_TRY(writer.finish(std::move(build.manifest), build.beside));
  return result;
}

}  // namespace sluice::engine
