#include "binding/ops/merge_features.h"

#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// mergeFeatures(dtype, permutation?, ...(source, scale) of each source)
const Registration kMerge("mergeFeatures", [](const Arguments& a) -> Napi::Value {
  std::vector<Tensor> sources;
  std::vector<double> scales;
  for (size_t i = 2; i < a.count(); i += 2) {
    sources.push_back(a.tensor(i, "sources"));
    scales.push_back(a.number(i + 1, "scales"));
  }
  return a.wrap(ops::merge_features(sources, scales, a.optional_tensor(1, "permutation"),
                                    a.dtype(0, "dtype")));
});

// dispatchGradient(gradient, dtype, permutation?, ...(size, factor) of each segment) -> tensors
const Registration kDispatch("dispatchGradient", [](const Arguments& a) -> Napi::Value {
  std::vector<int64_t> sizes;
  std::vector<double> factors;
  for (size_t i = 3; i < a.count(); i += 2) {
    sizes.push_back(a.integer(i, "sizes"));
    factors.push_back(a.number(i + 1, "factors"));
  }
  const auto targets =
      ops::dispatch_gradient(a.tensor(0, "gradient"), sizes, factors,
                             a.optional_tensor(2, "permutation"), a.dtype(1, "dtype"));
  const auto result = Napi::Array::New(a.env(), targets.size());
  for (uint32_t i = 0; i < targets.size(); ++i) result.Set(i, a.wrap(targets[i]));
  return result;
});

}  // namespace
}  // namespace espalier::node
