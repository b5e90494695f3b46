// The interaction's kernels on emulated tiles, alone, for amx_interaction.py. Each call has scratch
// memory of its own, filled with NaN, and returns what went wrong, or null.
#include "interaction_loops.cpp"

#include <cstdlib>
#include <string>

namespace {

using plumbline::Dtype;
using plumbline::interaction::Kernels;
using plumbline::interaction::Shape;

constexpr unsigned char kFilling = 0xFF;  // NaN in every dtype
constexpr size_t kGuard = 4096;

const Kernels kernels = plumbline::interaction::loops<plumbline::kInstructionSet>(Dtype::bfloat16);

template <class Work>
const char *run(int64_t bytes, const Work &work) {
  static std::string wrong;
  const size_t size = (static_cast<size_t>(bytes) + kGuard - 1) / kGuard * kGuard;
  auto *memory = static_cast<unsigned char *>(std::aligned_alloc(64, size + kGuard));
  std::memset(memory, kFilling, size + kGuard);
  wrong.clear();
  try {
    work(memory);
  } catch (const std::exception &error) {
    wrong = error.what();
  }
  for (size_t at = static_cast<size_t>(bytes); at < size + kGuard; ++at)
    if (wrong.empty() && memory[at] != kFilling) wrong = "written past the scratch memory";
  std::free(memory);
  return wrong.empty() ? nullptr : wrong.c_str();
}

}  // namespace

extern "C" const char *interaction_forward(int64_t rows, int64_t features, int64_t dim,
                                           const void *dense, const void *embeddings, void *out) {
  const Shape shape{rows, features, dim, dense != nullptr};
  return run(kernels.forward_scratch(shape), [&](void *scratch) {
    kernels.forward(shape, dense, embeddings, out, 0, rows, scratch);
  });
}

extern "C" const char *interaction_backward(int64_t rows, int64_t features, int64_t dim,
                                            const void *gradient, const void *dense,
                                            const void *embeddings, void *dense_gradient,
                                            void *embedding_gradient) {
  const Shape shape{rows, features, dim, dense != nullptr};
  return run(kernels.backward_scratch(shape), [&](void *scratch) {
    kernels.backward(shape, gradient, dense, embeddings, dense_gradient, embedding_gradient, 0, rows,
                     scratch);
  });
}
