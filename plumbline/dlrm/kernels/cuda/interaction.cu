// Selects and launches the interaction kernels.
#include <algorithm>
#include <stdexcept>

#include "api.h"
#include "entry.h"
#include "interaction_general.cuh"
#include "interaction_mma_backward.cuh"
#include "interaction_mma_forward.cuh"
#include "interaction_tensor.cuh"

namespace plumbline {
namespace {

constexpr int64_t kBlocksOfProcessor = 32;     // a block loops over the remaining rows
constexpr int64_t kMostTiles = 65535;          // of the second dimension of a grid
constexpr int kMostWarps = 4;                  // per block
constexpr int64_t kMostWarpBytes = 48 * 1024;  // above, the general kernel keeps more threads busy
constexpr int64_t kMostVectors = int64_t(1) << 24;  // exact in float32, see row_of

// What the kernels multiply with: a call permits one form and those before it.
enum class Form : int { general = 0, wmma = 1, mma = 2 };

struct Tensors {
  const void *gradient, *dense, *embeddings;
  void *out, *dense_gradient, *embedding_gradient;
};

// Warps per block that fit the device's shared memory; 0 if the general kernel has to run.
template <typename T>
int warps_of(const InteractionShape &shape, bool forward, const Device &device) {
  if (!multiplies<T>(device)) return 0;
  const int64_t halves =
      rounded_up(shape.vectors(), kTile) * (rounded_up(shape.dim, kTile) + kSkew);
  if (halves * kHalfBytes > kMostWarpBytes) return 0;  // before sizes are counted in 32 bits
  const int64_t bytes = WarpMemory(shape, forward).bytes;
  if (bytes > kMostWarpBytes) return 0;
  return static_cast<int>(std::min<int64_t>(kMostWarps, device.shared_bytes / bytes));
}

unsigned blocks_of(int64_t wanted, const Device &device) {
  return static_cast<unsigned>(std::min(wanted, device.processors * kBlocksOfProcessor));
}

Launch warps_launch(const char *name, const InteractionShape &shape, bool forward, int warps,
                    const Device &device, void *stream) {
  const dim3 grid{blocks_of((shape.rows + warps - 1) / warps, device)};
  const int64_t shared_bytes = warps * int64_t(WarpMemory(shape, forward).bytes);
  return {name, grid, dim3{unsigned(warps * kWarp)}, shared_bytes,
          static_cast<cudaStream_t>(stream)};
}

Launch general_launch(const char *name, const InteractionShape &shape, int64_t tiles,
                      const Device &device, void *stream) {
  const dim3 grid{blocks_of(shape.rows, device), unsigned(std::min(tiles, kMostTiles))};
  return {name, grid, dim3{kThreads}, kGeneralBytes, static_cast<cudaStream_t>(stream)};
}

template <typename T>
struct Arrays {
  Global<const T> gradient, dense, embeddings;
  Global<T> out, dense_gradient, embedding_gradient;

  Arrays(const Tensors &given, const InteractionShape &shape)
      : gradient(global<const T>(given.gradient, given.gradient ? shape.rows * shape.width() : 0)),
        dense(global<const T>(given.dense, given.dense ? shape.rows * shape.dim : 0)),
        embeddings(global<const T>(given.embeddings, shape.rows * shape.features * shape.dim)),
        out(global<T>(given.out, given.out ? shape.rows * shape.width() : 0)),
        dense_gradient(
            global<T>(given.dense_gradient, given.dense_gradient ? shape.rows * shape.dim : 0)),
        embedding_gradient(
            global<T>(given.embedding_gradient,
                      given.embedding_gradient ? shape.rows * shape.features * shape.dim : 0)) {}
};

bool packs_fit(const Tensors &given, const InteractionShape &shape) {
  const int64_t row_bytes = int64_t(shape.dim) * kHalfBytes;
  for (const void *each :
       {given.dense, given.embeddings, static_cast<const void *>(given.dense_gradient),
        static_cast<const void *>(given.embedding_gradient)})
    if (!aligned(each, row_bytes, kPackBytes)) return false;
  return true;
}

// Launches a kernel of common shapes on as many blocks as the device holds at a time.
template <typename... Parameters, typename... Arguments>
void launch_mma(const char *name, void (*kernel)(Parameters...), int warp_items,
                const InteractionShape &shape, const Device &device, void *stream,
                const Arguments &...arguments) {
  const int64_t warp_bytes = int64_t(warp_items) * kHalfBytes;
  const int64_t warps = std::min<int64_t>(kMmaWarps, device.shared_bytes / warp_bytes);
  const int64_t threads = warps * kWarp, shared_bytes = warps * warp_bytes;
  const int64_t most = device.processors * resident_blocks(kernel, threads, shared_bytes);
  const int64_t blocks = std::min((shape.rows + warps - 1) / warps, most);
  Launch{name, dim3{unsigned(blocks)}, dim3{unsigned(threads)}, shared_bytes,
         static_cast<cudaStream_t>(stream)}(kernel, arguments...);
}

// Returns whether there is a kernel for this shape.
template <typename T>
bool run_mma(const Tensors &given, const Arrays<T> &arrays, const InteractionShape &shape,
             bool forward, const Device &device, void *stream) {
  if (!has_mma(device) || shape.vectors() > kMostMmaVectors || !packs_fit(given, shape) ||
      !aligned(given.out, 0, kPackBytes) || !aligned(given.gradient, 0, kPackBytes))
    return false;
  return with_common_dim(shape.dim, [&](auto known) {
    constexpr int D = decltype(known)::value;
    if (forward)
      launch_mma("interaction_forward_mma", interaction_forward_mma<T, D>,
                 MmaForwardMemory<D>(shape).items, shape, device, stream, arrays.dense,
                 arrays.embeddings, arrays.out, shape);
    else
      launch_mma("interaction_backward_mma", interaction_backward_mma<T, D>,
                 MmaBackwardMemory<D>(shape).items, shape, device, stream, arrays.gradient,
                 arrays.dense, arrays.embeddings, arrays.dense_gradient, arrays.embedding_gradient,
                 shape);
  });
}

template <typename T>
void run(const Tensors &given, const InteractionShape &shape, Form form, bool forward,
         void *stream) {
  const Arrays<T> arrays(given, shape);
  const Device device = current_device();
  if constexpr (!std::is_same_v<T, float>) {
    if (form >= Form::mma && run_mma<T>(given, arrays, shape, forward, device, stream)) return;
    const int warps = form >= Form::wmma ? warps_of<T>(shape, forward, device) : 0;
    const bool wide = packs_fit(given, shape);
    if (warps > 0 && forward) {
      warps_launch("interaction_forward_tensor", shape, forward, warps, device, stream)(
          interaction_forward_tensor<T>, arrays.dense, arrays.embeddings, arrays.out, shape, wide,
          aligned(given.out, 0, kPackBytes));
      return;
    }
    if (warps > 0) {
      warps_launch("interaction_backward_tensor", shape, forward, warps, device, stream)(
          interaction_backward_tensor<T>, arrays.gradient, arrays.dense, arrays.embeddings,
          arrays.dense_gradient, arrays.embedding_gradient, shape, wide);
      return;
    }
  }
  const int64_t down = (shape.vectors() + kSide - 1) / kSide;
  const int64_t across = (shape.dim + kSide - 1) / kSide;
  if (forward)
    general_launch("interaction_forward_general", shape, down * (down + 1) / 2, device, stream)(
        interaction_forward_general<T>, arrays.dense, arrays.embeddings, arrays.out, shape);
  else
    general_launch("interaction_backward_general", shape, down * across, device, stream)(
        interaction_backward_general<T>, arrays.gradient, arrays.dense, arrays.embeddings,
        arrays.dense_gradient, arrays.embedding_gradient, shape);
}

void run_any(const Tensors &given, int64_t rows, int64_t features, int64_t dim, int number,
             int form, bool forward, void *stream) {
  if (features > kMostVectors || dim > kMostVectors)
    throw std::invalid_argument("interaction: more or longer vectors than the kernels support");
  const InteractionShape shape{rows, static_cast<int>(features), static_cast<int>(dim),
                               given.dense != nullptr};
  if (rows == 0 || (forward && shape.width() == 0)) return;
  switch (static_cast<Number>(number)) {
    case Number::float32:
      return run<float>(given, shape, static_cast<Form>(form), forward, stream);
    case Number::bfloat16:
      return run<bfloat16>(given, shape, static_cast<Form>(form), forward, stream);
    case Number::float16:
      return run<float16>(given, shape, static_cast<Form>(form), forward, stream);
  }
  throw std::invalid_argument("interaction: no kernel for dtype " + std::to_string(number));
}

}  // namespace
}  // namespace plumbline

const char *plumbline_interaction_forward(const void *dense, const void *embeddings, void *out,
                                          int64_t rows, int64_t features, int64_t dim, int number,
                                          int form, void *stream) {
  return plumbline::answered([=] {
    plumbline::run_any({nullptr, dense, embeddings, out, nullptr, nullptr}, rows, features, dim,
                       number, form, true, stream);
  });
}

const char *plumbline_interaction_backward(const void *gradient, const void *dense,
                                           const void *embeddings, void *dense_gradient,
                                           void *embedding_gradient, int64_t rows, int64_t features,
                                           int64_t dim, int number, int form, void *stream) {
  return plumbline::answered([=] {
    plumbline::run_any({gradient, dense, embeddings, nullptr, dense_gradient, embedding_gradient},
                       rows, features, dim, number, form, false, stream);
  });
}
