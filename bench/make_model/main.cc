// make_model: a model of random weights with the geometry of a published one, so that speed can be
// measured without a download. It has no tokenizer: give prompts as token ids.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>

#include "base/units.h"
#include "bench/make_model/model_writer.h"

namespace {

using sluice::bench::ModelRecipe;

// "uniform" or "zipf:ALPHA".
bool parse_router(const std::string& text, double& alpha) {
  constexpr std::string_view kZipf = "zipf:";
  if (text == "uniform") {
    alpha = 0;
    return true;
  }
  if (!text.starts_with(kZipf)) return false;
  const std::string number = text.substr(kZipf.size());
  char* end = nullptr;
  alpha = std::strtod(number.c_str(), &end);
  return !number.empty() && *end == '\0' && alpha > 0 && alpha <= 4;
}

// One line on stderr, at most every second.
class Progress {
 public:
  void operator()(int64_t done, int64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ < std::chrono::seconds(1)) return;
    told_ = now;
    std::fprintf(stderr, "make_model: %s of %s, %.0f MB/s\n",
                 sluice::base::format_bytes(static_cast<double>(done)).c_str(),
                 sluice::base::format_bytes(static_cast<double>(total)).c_str(),
                 static_cast<double>(done) / seconds() / 1e6);
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point told_ = begin_;
};

}  // namespace

int main(int count, char** arguments) {
  CLI::App app("Writes a model of random weights with the geometry of a published one.");
  ModelRecipe recipe;
  std::string out;
  std::string dtype = "bf16";
  std::string router = "uniform";
  app.add_option("OUT", out, "the directory to write, new or empty")->required();
  std::string names;
  for (const std::string& name : sluice::bench::geometry_names())
    names += (names.empty() ? "" : ", ") + name;
  app.add_option("--geometry", recipe.geometry, "one of " + names)->required();
  app.add_option("--layers", recipe.cut.layers, "only the first so many layers");
  app.add_option("--vocab", recipe.cut.vocab, "only so many tokens");
  app.add_option("--experts", recipe.cut.experts, "only so many experts in each layer");
  app.add_option("--dtype", dtype, "bf16, f16 or f32")->capture_default_str();
  app.add_option("--seed", recipe.seed, "another seed, other weights")->capture_default_str();
  app.add_option("--router", router,
                 "uniform, or zipf:ALPHA: how often each expert is chosen falls with its rank as "
                 "1 / rank^ALPHA")
      ->capture_default_str();
  CLI11_PARSE(app, count, arguments);

  const auto parsed_dtype = sluice::tensor::parse_dtype(dtype);
  if (!parsed_dtype) {
    std::fprintf(stderr, "make_model: --dtype '%s' is not bf16, f16 or f32\n", dtype.c_str());
    return 2;
  }
  recipe.dtype = *parsed_dtype;
  if (!parse_router(router, recipe.zipf_alpha)) {
    std::fprintf(
        stderr,
        "make_model: --router '%s' is neither uniform nor zipf:ALPHA with ALPHA in (0, 4]\n",
        router.c_str());
    return 2;
  }
  Progress progress;
  const auto written = sluice::bench::write_random_model(
      out, recipe, [&](int64_t done, int64_t total) { progress(done, total); });
  if (!written) {
    std::fprintf(stderr, "make_model: %s\n", written.error().message.c_str());
    return 1;
  }
  std::printf("%s: %s of weights in %s (%.0f MB/s)\n", out.c_str(),
              sluice::base::format_bytes(static_cast<double>(*written)).c_str(),
              sluice::base::format_seconds(progress.seconds()).c_str(),
              static_cast<double>(*written) / progress.seconds() / 1e6);
  return 0;
}
