#include "kernels/item_pool.h"
#include "kernels/ops.h"

namespace sluice::kernels {

void linear(const Exec& exec, const PackedMatrix& w, const float* x, int64_t ld_x, int64_t tokens,
            float* y, int64_t ld_y, const LinearOptions& options) {
  const Product product{&w, y, ld_y, options.bias, options.accumulate};
  linear(exec, {&product, 1}, x, ld_x, tokens, options.quantized);
}

void linear(const Exec& exec, std::span<const Product> products, const float* x, int64_t ld_x,
            int64_t tokens, const QuantizedRows* quantized) {
  over_pool(
      exec, products.size(), [&](size_t p) { return products[p].w->panels(); },
      [&](size_t) { return tokens; },
      [&](size_t p, const GemmItem& item) {
        const Product& product = products[p];
        ItemRows rows(*product.w, x, ld_x, quantized);
        for (int64_t t = 0; t < item.tokens; ++t) rows.set(t, item.first_token + t);
        multiply_item(*exec.ops, *product.w, item, rows,
                      [&](const float* from, int64_t n, int64_t token, int64_t row) {
                        const float* bias = product.bias ? product.bias + row : nullptr;
                        float* to = product.y + (item.first_token + token) * product.ld_y + row;
                        for (int64_t i = 0; i < n; ++i) {
                          const float sum = bias ? from[i] + bias[i] : from[i];
                          to[i] = product.accumulate ? to[i] + sum : sum;
                        }
                      });
      });
}

}  // namespace sluice::kernels
