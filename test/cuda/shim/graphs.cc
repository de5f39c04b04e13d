// CUDA graphs on the emulated GPU: lists of work. A graph that is made takes device memory, as on a
// card. An update is refused where the kinds of work differ.
#include <memory>
#include <vector>

#include "test/cuda/shim/cuda_runtime.h"
#include "test/cuda/shim/graph_counts.h"
#include "test/cuda/shim/scheduler.h"

using espalier::shim::EmulatedStream;
using espalier::shim::GraphNode;

struct CudaShimGraph {
  std::vector<GraphNode> nodes;
};

struct CudaShimGraphExec {
  std::shared_ptr<const std::vector<GraphNode>> nodes;
};

namespace {

constexpr char kLaunch = 0;

EmulatedStream& emulated(cudaStream_t stream) { return static_cast<EmulatedStream&>(*stream); }

espalier::shim::GraphCounts& counts() {
  static espalier::shim::GraphCounts instance;
  return instance;
}

bool same_kinds(const std::vector<GraphNode>& a, const std::vector<GraphNode>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].what != b[i].what) return false;
  }
  return true;
}

}  // namespace

espalier::shim::GraphCounts* espalier_shim_graph_counts() { return &counts(); }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode /*mode*/) {
  EmulatedStream& on = emulated(stream);
  if (on.capture != nullptr) return cudaErrorInvalidValue;
  on.capture = std::make_unique<std::vector<GraphNode>>();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  EmulatedStream& on = emulated(stream);
  if (on.capture == nullptr) return cudaErrorInvalidValue;
  *graph = new CudaShimGraph{std::move(*on.capture)};
  on.capture = nullptr;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long /*flags*/) {
  if (counts().refuse) return cudaErrorMemoryAllocation;
  ++counts().made;
  ++counts().alive;
  *exec = new CudaShimGraphExec{std::make_shared<const std::vector<GraphNode>>(graph->nodes)};
  return cudaSuccess;
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* /*info*/) {
  if (!same_kinds(*exec->nodes, graph->nodes)) return cudaErrorGraphExecUpdateFailure;
  ++counts().updated;
  exec->nodes = std::make_shared<const std::vector<GraphNode>>(graph->nodes);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  --counts().alive;
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  ++counts().launched;
  emulated(stream).enqueue(&kLaunch, [nodes = exec->nodes] {
    for (const GraphNode& node : *nodes) node.work();
  });
  return cudaSuccess;
}
