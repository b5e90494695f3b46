// The device interface of the kernels: the CUDA toolkit, or its emulation on a CPU.
//
// Here, under nvcc, arrays are plain pointers. In the emulation they check their bounds, so kernels
// index them, use load_wide and store_wide for several items at once, and never take addresses.
#pragma once

#ifdef PLUMBLINE_EMULATED

#include "../emulation/simt.h"

#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

#include <cstdint>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace plumbline {

namespace wmma = nvcuda::wmma;

// A device array as a kernel's parameter.
template <typename T>
using Global = T *__restrict__;

// A part of the block's shared memory.
template <typename T>
using Shared = T *;

// Host side: an array argument of a kernel, with the number of items that it may access.
template <typename T>
T *global(std::conditional_t<std::is_const_v<T>, const void *, void *> start, int64_t) {
  return static_cast<T *>(start);
}

// The part of the block's dynamic shared memory that starts at a byte offset.
template <typename T>
__device__ __forceinline__ T *shared_array(int64_t offset, int64_t) {
  extern __shared__ __align__(128) unsigned char shared_memory[];
  return reinterpret_cast<T *>(shared_memory + offset);
}

// `Wide` holds several items of T: one access of sizeof(Wide) bytes, aligned to them.
template <typename Wide, typename T>
__device__ __forceinline__ Wide load_wide(const T *array, int64_t first) {
  return *reinterpret_cast<const Wide *>(array + first);
}

template <typename Wide, typename T>
__device__ __forceinline__ void store_wide(T *array, int64_t first, Wide value) {
  *reinterpret_cast<Wide *>(array + first) = value;
}

struct Device {
  int compute_capability;  // 10 · major + minor
  int64_t shared_bytes;    // maximum per block
  int64_t processors;
};

[[noreturn]] inline void fail_launch(const char *what, cudaError_t error) {
  cudaGetLastError();  // clears it: the next good launch would report it
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

inline Device current_device() {
  int device = 0, major = 0, minor = 0, shared = 0, processors = 0;
  cudaError_t error = cudaGetDevice(&device);
  const auto ask = [&](int *value, cudaDeviceAttr attribute) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(value, attribute, device);
  };
  ask(&major, cudaDevAttrComputeCapabilityMajor);
  ask(&minor, cudaDevAttrComputeCapabilityMinor);
  ask(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  ask(&processors, cudaDevAttrMultiProcessorCount);
  if (error != cudaSuccess) fail_launch("the CUDA device cannot be queried", error);
  return {10 * major + minor, shared, processors};
}

// Lets a kernel use all of the current device's shared memory, and takes as much of the L1 cache for
// it as can be. The limit is the kernel's, not a launch's: if each launch set its own, threads would
// lower each other's.
inline cudaError_t allow_all_shared_memory(const void *kernel) {
  static std::mutex mutex;
  static std::set<std::pair<const void *, int>> allowed;  // kernel and device
  int device = 0, most = 0;
  cudaFuncAttributes attributes{};
  cudaError_t error = cudaGetDevice(&device);
  const std::lock_guard<std::mutex> lock(mutex);
  if (error != cudaSuccess || allowed.count({kernel, device})) return error;
  error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, kernel);
  if (error == cudaSuccess)
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 most - static_cast<int>(attributes.sharedSizeBytes));
  if (error == cudaSuccess)
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                 cudaSharedmemCarveoutMaxShared);
  if (error == cudaSuccess) allowed.insert({kernel, device});
  return error;
}

// Blocks of a kernel that a processor holds at a time.
template <typename... Parameters>
int64_t resident_blocks(void (*kernel)(Parameters...), int64_t threads, int64_t shared_bytes) {
  int blocks = 0;
  cudaError_t error = allow_all_shared_memory(reinterpret_cast<const void *>(kernel));
  if (error == cudaSuccess)
    error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel,
                                                          static_cast<int>(threads), shared_bytes);
  if (error == cudaSuccess && blocks > 0) return blocks;
  fail_launch(("a block of " + std::to_string(threads) + " threads and " +
               std::to_string(shared_bytes) + " bytes of shared memory")
                  .c_str(),
              error == cudaSuccess ? cudaErrorInvalidConfiguration : error);
}

template <typename T>
struct Unchanged {
  using type = T;  // excludes a parameter from deduction
};

// launch(kernel, arguments...); throws std::runtime_error if CUDA refuses it.
struct Launch {
  const char *name;
  dim3 grid, block;
  int64_t shared_bytes;
  cudaStream_t stream;

  template <typename... Parameters>
  void operator()(void (*kernel)(Parameters...),
                  typename Unchanged<Parameters>::type... arguments) const {
    constexpr int64_t kWithoutAsking = 48 * 1024;
    cudaError_t error = cudaSuccess;
    if (shared_bytes > kWithoutAsking)
      error = allow_all_shared_memory(reinterpret_cast<const void *>(kernel));
    if (error == cudaSuccess) {
      kernel<<<grid, block, shared_bytes, stream>>>(arguments...);
      error = cudaGetLastError();
    }
    if (error == cudaSuccess) return;
    const std::string what = std::string(name) + " with grid (" + std::to_string(grid.x) + ", " +
                             std::to_string(grid.y) + "), block " + std::to_string(block.x) +
                             " and " + std::to_string(shared_bytes) + " bytes of shared memory";
    fail_launch(what.c_str(), error);
  }
};

}  // namespace plumbline

#endif
