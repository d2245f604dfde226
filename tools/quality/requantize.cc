// requantize FORMAT < values > values: what is left of f32 numbers in a format of sluice. For
// measure.py.
#include <cstdio>
#include <vector>

#include "tensor/block.h"
#include "tensor/quantize.h"

int main(int count, char** arguments) {
  namespace tensor = sluice::tensor;
  const auto format = count == 2 ? tensor::parse_dtype(arguments[1]) : std::nullopt;
  if (!format || !tensor::can_quantize(*format)) {
    std::fprintf(stderr, "requantize: give one format that is written, such as q8_0\n");
    return 2;
  }
  const auto elements = static_cast<size_t>(tensor::info(*format).block_elements) << 12;
  std::vector<float> values(elements);
  std::vector<std::byte> blocks(
      static_cast<size_t>(tensor::storage_bytes(*format, static_cast<int64_t>(elements))));
  while (const size_t read = std::fread(values.data(), sizeof(float), elements, stdin)) {
    const auto some = static_cast<int64_t>(read);
    if (some % tensor::info(*format).block_elements != 0 ||
        !tensor::quantize(*format, values.data(), some, blocks.data())) {
      std::fprintf(stderr, "requantize: a part of a block, or a value that %s cannot hold\n",
                   tensor::info(*format).name);
      return 1;
    }
    tensor::dequantize(*format, blocks.data(), some, values.data());
    if (std::fwrite(values.data(), sizeof(float), read, stdout) != read) return 1;
  }
  return 0;
}
