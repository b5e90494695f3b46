#include "interaction.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

namespace plumbline::interaction {
namespace {

constexpr std::align_val_t kAlignment{64};

struct Release {
  void operator()(std::byte *memory) const { ::operator delete(memory, kAlignment); }
};

// Zeros, one region for each thread.
class Scratch {
 public:
  Scratch(int64_t bytes, int threads)
      : each_((bytes + 63) / 64 * 64),
        memory_(static_cast<std::byte *>(::operator new(each_ * threads, kAlignment))) {
    std::fill_n(memory_.get(), each_ * threads, std::byte{0});
  }
  void *of(int thread) const { return memory_.get() + each_ * thread; }

 private:
  int64_t each_;
  std::unique_ptr<std::byte, Release> memory_;
};

Kernels kernels(InstructionSet set, Dtype dtype) {
  Kernels found;
  if (set == InstructionSet::avx512bf16) found = avx512bf16_kernels(dtype);
  if (!found.forward && set >= InstructionSet::avx512) found = avx512_kernels(dtype);
  if (!found.forward && set >= InstructionSet::avx2) found = avx2_kernels(dtype);
  return found.forward ? found : plain_kernels(dtype);
}

// Every thread gets one range of rows, so that it streams through memory.
template <class Work>
void share(int64_t rows, int64_t scratch_bytes, int threads, const Work &work) {
  threads = static_cast<int>(std::clamp<int64_t>(threads, 1, std::max<int64_t>(rows, 1)));
  const Scratch scratch(scratch_bytes, threads);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
  for (int thread = 0; thread < threads; ++thread)
    work(rows * thread / threads, rows * (thread + 1) / threads, scratch.of(thread));
}

}  // namespace

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
