#include "gguf_conversion.h"

#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "gguf_keys.h"
#include "straight_model.h"
#include "tensor/block.h"
#include "tensor/quantize.h"
#include "weights/checkpoint.h"
#include "weights/gguf_test_file.h"

namespace sluice::tests {
namespace {

using tensor::DType;
using weights::GgufTestFile;
using Tensor = GgufTensor;

std::string as_f32(const tensor::TensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  tensor::dequantize(view.dtype, view.data, view.shape.elements(), values.data());
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// (heads, 2, half, ...) to (heads, half, 2, ...).
void permute(Tensor& tensor, int64_t heads) {
  const int64_t half = tensor.dims[0] / heads / 2;
  const size_t row = tensor.bytes.size() / static_cast<size_t>(tensor.dims[0]);
  std::string to;
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t i = 0; i < half; ++i) {
      for (int64_t part = 0; part < 2; ++part)
        to += tensor.bytes.substr(static_cast<size_t>((head * 2 + part) * half + i) * row, row);
    }
  }
  tensor.bytes = std::move(to);
}

// What follows "model.layers.N." with its dot, in both formats.
const std::map<std::string, std::string> kLayerNames = {
    {"input_layernorm.", "attn_norm."},    {"self_attn.q_proj.", "attn_q."},
    {"self_attn.k_proj.", "attn_k."},      {"self_attn.v_proj.", "attn_v."},
    {"self_attn.o_proj.", "attn_output."}, {"self_attn.q_norm.", "attn_q_norm."},
    {"self_attn.k_norm.", "attn_k_norm."}, {"post_attention_layernorm.", "ffn_norm."},
    {"mlp.gate_proj.", "ffn_gate."},       {"mlp.up_proj.", "ffn_up."},
    {"mlp.down_proj.", "ffn_down."},       {"block_sparse_moe.gate.", "ffn_gate_inp."},
    {"mlp.gate.", "ffn_gate_inp."}};
const std::map<std::string, std::string> kExpertNames = {{"w1", "gate"},    {"w3", "up"},
                                                         {"w2", "down"},    {"gate_proj", "gate"},
                                                         {"up_proj", "up"}, {"down_proj", "down"}};

class Conversion {
 public:
  explicit Conversion(const std::string& directory)
      : config_(base::parse_json(read_text(directory + "/config.json")).value()),
        checkpoint_(weights::open_checkpoint(directory).value()) {
    for (const weights::TensorEntry& entry : checkpoint_.entries()) add(entry);
    for (auto& [stack, experts] : experts_) merge(stack, experts);
    if (auto divisors = gguf_rope_divisors(config_))
      tensors_["rope_freqs.weight"] = std::move(*divisors);
  }

  const Json& config() const { return config_; }
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }

 private:
  void add(const weights::TensorEntry& entry) {
    if (entry.name.ends_with("rotary_emb.inv_freq")) return;
    const tensor::TensorView view = checkpoint_.view(entry).value();
    Tensor tensor{.dtype = view.dtype, .dims = entry.dims};
    tensor.bytes.assign(reinterpret_cast<const char*>(view.data),
                        static_cast<size_t>(view.bytes()));
    const std::string layers = "model.layers.";
    if (!entry.name.starts_with(layers)) {
      const std::string to = entry.name.starts_with("lm_head.")      ? "output.weight"
                             : entry.name.starts_with("model.norm.") ? "output_norm.weight"
                                                                     : "token_embd.weight";
      return put(to, std::move(tensor), view);
    }
    const size_t dot = entry.name.find('.', layers.size());
    const std::string block = "blk." + entry.name.substr(layers.size(), dot + 1 - layers.size());
    const std::string rest = entry.name.substr(dot + 1);
    if (const size_t at = rest.find("experts."); at != std::string::npos) {
      const size_t number = at + 8;
      const size_t end = rest.find('.', number);
      const std::string part = rest.substr(end + 1, rest.find('.', end + 1) - end - 1);
      experts_[block + "ffn_" + kExpertNames.at(part) + "_exps.weight"]
              [std::stoi(rest.substr(number, end - number))] = view;
      return;
    }
    const size_t kind = rest.rfind('.') + 1;
    if (gguf_architecture(config_) == "llama") {
      if (rest.starts_with("self_attn.q_proj.")) permute(tensor, heads("num_attention_heads"));
      if (rest.starts_with("self_attn.k_proj.")) permute(tensor, heads("num_key_value_heads"));
    }
    put(block + kLayerNames.at(rest.substr(0, kind)) + rest.substr(kind), std::move(tensor), view);
  }

  int64_t heads(const char* key) const {
    return config_[has(config_, key) ? key : "num_attention_heads"].get<int64_t>();
  }

  void put(const std::string& name, Tensor tensor, const tensor::TensorView& view) {
    const bool widen = tensor.dims.size() == 1 || name.find("ffn_gate_inp") != std::string::npos;
    if (widen) {
      // Of the bytes as they are now, permuted or not.
      tensor::TensorView now = view;
      now.data = reinterpret_cast<const std::byte*>(tensor.bytes.data());
      tensor.bytes = as_f32(now);
      tensor.dtype = DType::kF32;
    }
    tensors_[name] = std::move(tensor);
  }

  void merge(const std::string& name, const std::map<int, tensor::TensorView>& experts) {
    const tensor::TensorView& first = experts.begin()->second;
    bool same = true;
    for (const auto& [expert, view] : experts) same = same && view.dtype == first.dtype;
    Tensor stack{.dtype = same ? first.dtype : DType::kF32,
                 .dims = {static_cast<int64_t>(experts.size()), first.shape[0], first.shape[1]}};
    for (const auto& [expert, view] : experts) {
      stack.bytes += same ? std::string(reinterpret_cast<const char*>(view.data),
                                        static_cast<size_t>(view.bytes()))
                          : as_f32(view);
    }
    tensors_[name] = std::move(stack);
  }

  Json config_;
  weights::Checkpoint checkpoint_;
  std::map<std::string, std::map<int, tensor::TensorView>> experts_;
  std::map<std::string, Tensor> tensors_;
};

std::optional<DType> wanted_of(const std::string& name, const Tensor& tensor,
                               const models::Quantization& quantization) {
  if (name.find("ffn_gate_inp") != std::string::npos) return std::nullopt;
  if (name.find("ffn_") == std::string::npos) return quantization.others;
  const bool whole =
      quantization.ffn && tensor.dims.back() % tensor::info(*quantization.ffn).block_elements == 0;
  return whole ? quantization.ffn : quantization.narrow_ffn;
}

void quantize(Tensor& tensor, DType to) {
  const int64_t elements =
      std::accumulate(tensor.dims.begin(), tensor.dims.end(), int64_t{1}, std::multiplies<>());
  std::vector<float> values(static_cast<size_t>(elements));
  tensor::dequantize(tensor.dtype, reinterpret_cast<const std::byte*>(tensor.bytes.data()),
                     elements, values.data());
  tensor.dtype = to;
  tensor.bytes.resize(static_cast<size_t>(tensor::storage_bytes(to, elements)));
  SLUICE_CHECK(tensor::quantize(to, values.data(), elements,
                                reinterpret_cast<std::byte*>(tensor.bytes.data())),
               "the test's weights are finite");
}

void write_tensor(const std::string& name, Tensor tensor, const models::Quantization& quantization,
                  GgufTestFile& file) {
  std::optional<DType> wanted = wanted_of(name, tensor, quantization);
  if (wanted == DType::kBF16Dot) wanted = DType::kBF16;  // as it is stored
  if (wanted && tensor.dims.size() > 1 &&
      tensor.dims.back() % tensor::info(*wanted).block_elements == 0) {
    quantize(tensor, *wanted);
  }
  file.tensor(name, tensor.dims, gguf_number(tensor.dtype), tensor.bytes);
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  SLUICE_CHECK(out.good(), "the test's folder has room");
}

}  // namespace

void convert_to_gguf(const std::string& directory, const std::filesystem::path& out,
                     const models::Quantization& quantization) {
  const Conversion conversion(directory);
  GgufTestFile file;
  write_gguf_keys(conversion.config(), file);
  for (const auto& [name, tensor] : conversion.tensors())
    write_tensor(name, tensor, quantization, file);
  write_file(out, file.write());
}

std::filesystem::path convert_to_split_gguf(const std::string& directory,
                                            const std::filesystem::path& folder, int parts) {
  const Conversion conversion(directory);
  std::vector<GgufTestFile> files(static_cast<size_t>(parts));
  write_gguf_keys(conversion.config(), files[0]);
  size_t next = 0;
  for (const auto& [name, tensor] : conversion.tensors())
    write_tensor(name, tensor, {}, files[next++ % files.size()]);
  const auto path = [&](size_t part) {
    return folder /
           ("split-0000" + std::to_string(part + 1) + "-of-0000" + std::to_string(parts) + ".gguf");
  };
  for (size_t part = 0; part < files.size(); ++part) {
    files[part].number("split.no", static_cast<uint16_t>(part));
    files[part].number("split.count", static_cast<uint16_t>(parts));
    files[part].number("split.tensors.count", static_cast<int32_t>(conversion.tensors().size()));
    write_file(path(part), files[part].write());
  }
  return path(0);
}

}  // namespace sluice::tests
