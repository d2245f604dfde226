// The logits at every position of one prompt, for comparison with other programs: f32
// [tokens, vocab], row after row, as raw bytes in a file.
//
//   prompt_logits MODEL TOKENS OUT [THREADS]      TOKENS: a file of token ids between spaces
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "straight_model.h"

int main(int count, char** arguments) {
  if (count != 4 && count != 5) {
    std::fprintf(stderr, "usage: prompt_logits MODEL TOKENS OUT [THREADS]\n");
    return 2;
  }
  std::ifstream in(arguments[2]);
  const std::vector<int32_t> tokens{std::istream_iterator<int32_t>(in),
                                    std::istream_iterator<int32_t>()};
  if (tokens.empty() || !in.eof()) {
    std::fprintf(stderr, "prompt_logits: %s is not a file of token ids\n", arguments[2]);
    return 1;
  }
  const auto length = static_cast<int64_t>(tokens.size());
  sluice::tests::StraightOptions options;
  options.threads = count == 5 ? std::atoi(arguments[4]) : 1;
  options.rows = length;
  options.context = length;
  const auto model = sluice::tests::StraightModel::load(arguments[1], options);
  if (!model) {
    std::fprintf(stderr, "prompt_logits: %s\n", model.error().message.c_str());
    return 1;
  }
  for (const int32_t token : tokens) {
    if (token < 0 || token >= (*model)->config().vocab) {
      std::fprintf(stderr, "prompt_logits: the model has no token %d\n", token);
      return 1;
    }
  }
  (*model)->restart(length);
  const std::span<const float> logits = (*model)->append(tokens);
  std::ofstream out(arguments[3], std::ios::binary);
  out.write(reinterpret_cast<const char*>(logits.data()),
            static_cast<std::streamsize>(logits.size_bytes()));
  if (!out.flush()) {
    std::fprintf(stderr, "prompt_logits: cannot write %s\n", arguments[3]);
    return 1;
  }
  return 0;
}
