#include "interaction.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "threads.h"
#include "with_instruction_set.h"

namespace plumbline::interaction {
namespace {

constexpr std::align_val_t kAlignment{64};

struct Release {
  void operator()(std::byte *memory) const { ::operator delete(memory, kAlignment); }
};

// One scratch region per thread.
class Scratch {
 public:
  Scratch(int64_t bytes, int threads)
      : each_((bytes + 63) / 64 * 64),
        memory_(static_cast<std::byte *>(::operator new(each_ * threads, kAlignment))) {}
  void *of(int thread) const { return memory_.get() + each_ * thread; }

 private:
  int64_t each_;
  std::unique_ptr<std::byte, Release> memory_;
};

// Threads take ranges of rows dynamically, so one that is preempted does not delay the others.
constexpr int64_t kRangesEach = 8;
constexpr int64_t kFewestRows = 16;

template <class Work>
void share(int64_t rows, int64_t scratch_bytes, int threads, const Work &work) {
  const int64_t fitting = (rows + kFewestRows - 1) / kFewestRows;
  threads = static_cast<int>(std::clamp<int64_t>(threads, 1, std::max<int64_t>(fitting, 1)));
  const int64_t ranges = threads == 1 ? 1 : std::min(fitting, threads * kRangesEach);
  const Scratch scratch(scratch_bytes, threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
  for (int64_t range = 0; range < ranges; ++range)
    work(rows * range / ranges, rows * (range + 1) / ranges, scratch.of(this_thread()));
}

}  // namespace

Kernels kernels(InstructionSet set, Dtype dtype) {
  for (int at = static_cast<int>(set);; --at) {
    const Kernels found = with(InstructionSet{at}, [dtype](auto compiled) {
      return loops<compiled()>(dtype);
    });
    if (found.forward) return found;
  }
}

void forward(InstructionSet set, Dtype dtype, const Shape &shape, const void *dense,
             const void *embeddings, void *out, int threads) {
  const Kernels found = kernels(set, dtype);
  share(shape.rows, found.forward_scratch(shape), threads,
        [&](int64_t begin, int64_t end, void *scratch) {
          found.forward(shape, dense, embeddings, out, begin, end, scratch);
        });
}

void backward(InstructionSet set, Dtype dtype, const Shape &shape, const void *gradient,
              const void *dense, const void *embeddings, void *dense_gradient,
              void *embedding_gradient, int threads) {
  const Kernels found = kernels(set, dtype);
  share(shape.rows, found.backward_scratch(shape), threads,
        [&](int64_t begin, int64_t end, void *scratch) {
          found.backward(shape, gradient, dense, embeddings, dense_gradient, embedding_gradient,
                         begin, end, scratch);
        });
}

}  // namespace plumbline::interaction
