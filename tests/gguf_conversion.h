// A Hugging Face directory as a GGUF file, by the conventions of llama.cpp's convert_hf_to_gguf.py:
// what the tests of GGUF run, so that no such file need be kept.
#pragma once

#include <filesystem>
#include <string>

#include "models/quantization.h"

namespace sluice::tests {

// Writes the model of `directory` (of a family that sluice runs; without its tokenizer) to `out`.
// Matrices keep their dtype or become what `quantization` says; norms, biases and routers become
// F32, as there. Where that program would leave out what changes the result (norm_topk_prob,
// clip_qkv, yarn's mscale), the key that says it is written. Aborts the test program on any error.
void convert_to_gguf(const std::string& directory, const std::filesystem::path& out,
                     const models::Quantization& quantization = {});

// The same in `parts` files; returns the path of the first one, in `folder`.
std::filesystem::path convert_to_split_gguf(const std::string& directory,
                                            const std::filesystem::path& folder, int parts);

}  // namespace sluice::tests
