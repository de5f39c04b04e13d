#include "binding/ops/lora_linear.h"

#include <cmath>
#include <utility>

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

void check_layer(const char* op, const Shape& x, const LoraLayer& layer) {
  const std::string width = std::to_string(x.columns());
  expect_weight_dtype(op, "weight", layer.weight);
  expect_rank(op, "weight", layer.weight, 2);
  if (layer.weight.shape()[1] != x.columns()) {
    shape_error(op, "weight", "[N, " + width + "]", layer.weight);
  }
  if (layer.bias) {
    expect_weight_dtype(op, "bias", *layer.bias);
    expect_shape(op, "bias", *layer.bias, Shape{layer.weight.shape()[0]});
  }
  if (layer.a.has_value() != layer.b.has_value()) {
    value_error(op, layer.a ? "b" : "a", "a tensor, as the other factor is given", "none");
  }
  if (!layer.a) return;
  expect_dtype(op, "a", *layer.a, {DType::f32});
  expect_rank(op, "a", *layer.a, 2);
  if (layer.a->shape()[1] != x.columns() || layer.a->shape()[0] == 0) {
    shape_error(op, "a", "[r, " + width + "] with r at least 1", *layer.a);
  }
  expect_dtype(op, "b", *layer.b, {DType::f32});
  expect_shape(op, "b", *layer.b, Shape{layer.weight.shape()[0], layer.a->shape()[0]});
  if (!(layer.dropout >= 0 && layer.dropout < 1)) {
    value_error(op, "dropout", "a number in [0, 1)", std::to_string(layer.dropout));
  }
  if (!std::isfinite(layer.scale)) {
    value_error(op, "scale", "a finite number", std::to_string(layer.scale));
  }
}

void check_x(const char* op, const OptionalTensor& x, size_t layers) {
  if (x) {
    expect_dtype(op, "x", *x, {DType::f32});
    expect_rank_at_least(op, "x", *x, 1);
  }
  if (layers == 0) value_error(op, "layers", "at least one", "none");
}

LoraPath path_of(const LoraLayer& layer) {
  return {.a = view_of(layer.a),
          .b = view_of(layer.b),
          .scale = static_cast<float>(layer.scale),
          .dropout = layer.dropout,
          .seed = layer.seed};
}

}  // namespace

std::vector<LoraOutput> lora_linear(const Tensor& x, const std::vector<LoraLayer>& layers,
                                    Products products) {
  constexpr const char* kOp = "loraLinear";
  check_x(kOp, x, layers.size());
  std::vector<OptionalTensor> reads{x};
  std::vector<OptionalTensor> writes;
  std::vector<LoraOutput> outputs;
  for (const LoraLayer& layer : layers) {
    check_layer(kOp, x.shape(), layer);
    outputs.push_back(
        {Tensor(x.device(), x.shape().with_columns(layer.weight.shape()[0]), DType::f32), {}});
    if (layer.a) {
      outputs.back().hidden =
          Tensor(x.device(), Shape{x.shape().rows(), layer.a->shape()[0]}, DType::f32);
    }
    reads.insert(reads.end(), {layer.weight, layer.bias, layer.a, layer.b});
    writes.insert(writes.end(), {outputs.back().output, outputs.back().hidden});
  }
  submit(kOp, reads, writes, [=](Backend& backend) {
    LoraLinearArguments arguments{.x = x.const_view(), .projections = {}, .products = products};
    for (size_t i = 0; i < layers.size(); ++i) {
      arguments.projections.push_back({.weight = layers[i].weight.const_view(),
                                       .bias = view_of(layers[i].bias),
                                       .path = path_of(layers[i]),
                                       .output = outputs[i].output.view(),
                                       .hidden = writable_view_of(outputs[i].hidden)});
    }
    return backend.lora_linear(arguments);
  });
  return outputs;
}

LoraGradients lora_linear_backward(const OptionalTensor& x, const Shape& shape,
                                   const std::vector<LoraLayerGradient>& layers, bool wants_x,
                                   Products products) {
  constexpr const char* kOp = "loraLinearBackward";
  check_x(kOp, x, layers.size());
  if (x) expect_shape(kOp, "x", *x, shape);
  Device& device = layers[0].layer.weight.device();
  std::vector<OptionalTensor> reads{x};
  std::vector<OptionalTensor> writes;
  LoraGradients gradients;
  if (wants_x) gradients.x = Tensor(device, shape, DType::f32);
  writes.push_back(gradients.x);
  for (const auto& [gradient, layer, hidden, wants_a, wants_b] : layers) {
    check_layer(kOp, shape, layer);
    if (gradient) {
      expect_dtype(kOp, "gradient", *gradient, {DType::f32});
      expect_shape(kOp, "gradient", *gradient, shape.with_columns(layer.weight.shape()[0]));
    }
    LoraPathGradients path;
    if (layer.a) {
      if (!hidden) value_error(kOp, "hidden", "a tensor", "none");
      expect_dtype(kOp, "hidden", *hidden, {DType::f32});
      expect_shape(kOp, "hidden", *hidden, Shape{shape.rows(), layer.a->shape()[0]});
      if (wants_a && !x) value_error(kOp, "x", "a tensor", "none");
      if (wants_a) path.a = Tensor(device, layer.a->shape(), DType::f32);
      if (wants_b) path.b = Tensor(device, layer.b->shape(), DType::f32);
    }
    reads.insert(reads.end(), {gradient, layer.weight, layer.a, layer.b, hidden});
    writes.insert(writes.end(), {path.a, path.b});
    gradients.paths.push_back(std::move(path));
  }
  submit(kOp, reads, writes, [=](Backend& backend) {
    LoraLinearBackwardArguments arguments{.x = {nullptr, DType::f32, shape},
                                          .x_gradient = writable_view_of(gradients.x),
                                          .projections = {},
                                          .products = products};
    if (x) arguments.x = x->const_view();
    for (size_t i = 0; i < layers.size(); ++i) {
      arguments.projections.push_back({.gradient = view_of(layers[i].gradient),
                                       .weight = layers[i].layer.weight.const_view(),
                                       .path = path_of(layers[i].layer),
                                       .hidden = view_of(layers[i].hidden),
                                       .a_gradient = writable_view_of(gradients.paths[i].a),
                                       .b_gradient = writable_view_of(gradients.paths[i].b)});
    }
    return backend.lora_linear_backward(arguments);
  });
  return gradients;
}

}  // namespace espalier::ops
