// Pieces are short, so that the device begins while the rest of a long region is still being
// written down. Comparing is by the bytes of the arguments: pointers, numbers, grids, whole tables
// of tensors. When they are those of the last time the graph is launched as it stands; when only
// they have changed, the piece is captured anew on a stream that runs nothing, and the graph is
// updated. Since every piece is launched with the arguments of this time, buffers may lie elsewhere
// and seeds, rates and masks may change.
#include <cstdlib>
#include <cstring>
#include <utility>

#include "cuda/launch.h"
#include "cuda/work_queue.h"

namespace espalier::cuda {
namespace {

constexpr size_t kPieceWorks = 64;
constexpr size_t kFewestWorks = 4;   // for which a graph is worth while
constexpr size_t kMostPieces = 512;  // of all regions together
constexpr int kMostRefusals = 3;

bool graphs_wanted() {
  const char* wanted = std::getenv("ESPALIER_CUDA_GRAPHS");
  return wanted == nullptr || std::strcmp(wanted, "0") != 0;
}

}  // namespace

WorkQueue::~WorkQueue() {
  for (auto& [key, region] : regions_) drop(region);
}

Status WorkQueue::start(bool graphs) {
  enabled_ = graphs && graphs_wanted();
  for (cudaStream_t* stream : {&stream_, &capture_stream_}) {
    if (Status status =
            status_of(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "make a stream");
        !status.ok()) {
      return status;
    }
  }
  return {};
}

void WorkQueue::queue_now() {
  if (region_ != nullptr) static_cast<void>(finish_piece());
}

WorkQueue::operator cudaStream_t() {
  queue_now();
  return stream_;
}

void WorkQueue::free(void* data) {
  const std::lock_guard lock(freeing_);
  if (!held_) {
    cudaFreeAsync(data, stream_);
    return;
  }
  try {
    freed_.push_back(data);
  } catch (const std::bad_alloc&) {
    // The block is lost; freed now, it could be somebody else's before the work is queued.
  }
}

void WorkQueue::hold() {
  const std::lock_guard lock(freeing_);
  held_ = true;
}

void WorkQueue::let_go() {
  const std::lock_guard lock(freeing_);
  held_ = false;
  for (void* data : freed_) cudaFreeAsync(data, stream_);
  freed_.clear();
}

// --- Regions and pieces --------------------------------------------------------------------------

Status WorkQueue::begin_region(const std::string& key) {
  if (Status status = end_region(); !status.ok() || !enabled_) return status;
  Region& region = regions_[key];
  region.begun = ++regions_begun_;
  forget_old_regions();
  region_ = &region;
  piece_ = 0;
  open_piece();
  return {};
}

Status WorkQueue::end_region() {
  if (region_ == nullptr) return failure_;
  Status status = finish_piece();
  region_ = nullptr;
  return status;
}

void WorkQueue::open_piece() {
  now_.works.clear();
  now_.arguments.clear();
  holding_ = piece_ < region_->pieces.size() && !region_->pieces[piece_].works.empty();
}

Status WorkQueue::added() {
  const size_t last = now_.works.size() - 1;
  const Work& work = now_.works[last];
  if (holding_) {
    const auto& expected = region_->pieces[piece_].works;
    if (last == 0) hold();
    if (last >= expected.size() || expected[last].what != work.what) {
      if (Status status = queue_held(); !status.ok()) return status;
    }
  } else if (Status status = work.queue(now_.arguments.data() + work.arguments, stream_);
             !status.ok()) {
    // It is the op's failure, and nothing that was queued.
    now_.works.pop_back();
    return status;
  }
  return now_.works.size() == kPieceWorks ? finish_piece() : Status();
}

Status WorkQueue::queue_held() {
  holding_ = false;
  for (const Work& work : now_.works) {
    if (Status status = work.queue(now_.arguments.data() + work.arguments, stream_);
        !status.ok() && failure_.ok()) {
      std::swap(failure_, status);
    }
  }
  let_go();
  return failure_;
}

Status WorkQueue::finish_piece() {
  if (now_.works.empty()) return failure_;
  if (piece_ >= kMostPieces) {
    open_piece();
    return failure_;
  }
  if (piece_ == region_->pieces.size()) region_->pieces.emplace_back();
  Piece& last = region_->pieces[piece_];
  bool graph = false;
  if (holding_) {
    graph = now_.works.size() == last.works.size() && now_.works.size() >= kFewestWorks &&
            launch_graph(last);
    if (graph) {
      let_go();
    } else {
      static_cast<void>(queue_held());
    }
  }
  last.current = graph;
  std::swap(last.works, now_.works);
  std::swap(last.arguments, now_.arguments);
  ++piece_;
  open_piece();
  return failure_;
}

void WorkQueue::forget_old_regions() {
  // A region counts for one by itself: keys take memory too.
  size_t pieces = 0;
  for (const auto& [key, region] : regions_) pieces += 1 + region.pieces.size();
  while (pieces > kMostPieces && regions_.size() > 1) {
    auto oldest = regions_.begin();
    for (auto it = regions_.begin(); it != regions_.end(); ++it) {
      if (it->second.begun < oldest->second.begun) oldest = it;
    }
    pieces -= 1 + oldest->second.pieces.size();
    drop(oldest->second);
    regions_.erase(oldest);
  }
}

void WorkQueue::drop(Region& region) {
  for (const Piece& piece : region.pieces) {
    if (piece.graph != nullptr) cudaGraphExecDestroy(piece.graph);
  }
  region.pieces.clear();
}

// --- Graphs --------------------------------------------------------------------------------------

// False, with nothing queued, where there is no graph to be had.
bool WorkQueue::launch_graph(Piece& last) {
  const bool same = last.current && last.arguments == now_.arguments;
  if (!same && (last.refusals >= kMostRefusals || !make_graph(last))) return false;
  if (cudaGraphLaunch(last.graph, stream_) == cudaSuccess) return true;
  cudaGetLastError();
  return false;
}

// Captures the works of this time and makes them the graph of the piece.
bool WorkQueue::make_graph(Piece& last) {
  const auto refuse = [&] {
    cudaGetLastError();
    if (last.graph != nullptr) cudaGraphExecDestroy(last.graph);
    last.graph = nullptr;
    ++last.refusals;
    return false;
  };
  if (cudaStreamBeginCapture(capture_stream_, cudaStreamCaptureModeThreadLocal) != cudaSuccess) {
    return refuse();
  }
  bool good = true;
  for (const Work& work : now_.works) {
    good = good && work.queue(now_.arguments.data() + work.arguments, capture_stream_).ok();
  }
  cudaGraph_t graph = nullptr;
  good = cudaStreamEndCapture(capture_stream_, &graph) == cudaSuccess && good;
  if (good && last.graph != nullptr) {
    cudaGraphExecUpdateResultInfo info{};
    if (cudaGraphExecUpdate(last.graph, graph, &info) != cudaSuccess) {
      cudaGetLastError();
      cudaGraphExecDestroy(last.graph);
      last.graph = nullptr;
    }
  }
  if (good && last.graph == nullptr) {
    good = cudaGraphInstantiate(&last.graph, graph, 0) == cudaSuccess;
    if (!good) last.graph = nullptr;
  }
  if (graph != nullptr) cudaGraphDestroy(graph);
  return good || refuse();
}

}  // namespace espalier::cuda
