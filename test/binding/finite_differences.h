// Gradients by central differences, in double precision.
#pragma once

#include <cstddef>
#include <vector>

namespace espalier::test {

/// The values in double precision.
template <class T>
std::vector<double> widened(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

/// Derivative of the scalar function `f` of a vector of doubles with respect to each element.
template <class Function>
std::vector<double> finite_differences(std::vector<double> at, Function&& f, double step = 1e-4) {
  std::vector<double> gradient;
  for (double& x : at) {
    const double middle = x;
    x = middle + step;
    const double above = f(at);
    x = middle - step;
    const double below = f(at);
    x = middle;
    gradient.push_back((above - below) / (2 * step));
  }
  return gradient;
}

/// Σ x y, the projection whose derivative with respect to x is y.
template <class A, class B>
double dot(const std::vector<A>& x, const std::vector<B>& y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return sum;
}

}  // namespace espalier::test
