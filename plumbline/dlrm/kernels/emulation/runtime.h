// What cuda/runtime.cuh asks of CUDA's runtime, on a CPU. New memory holds 0xFF in every byte: a NaN
// in any float, and -1 in any integer.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "launch.h"
#include "stream.h"

namespace plumbline {

using cudaEvent_t = emulation::LateEvent *;

constexpr int kMemoryKind = 1;  // DLPack's number of the kind of memory: a CPU's

namespace emulation {

inline void *filled_memory(int64_t bytes) {
  constexpr size_t kAlignment = 256;  // as cudaMalloc's
  const size_t rounded = (size_t(bytes) + kAlignment - 1) / kAlignment * kAlignment;
  void *start = std::aligned_alloc(kAlignment, rounded);
  if (start == nullptr) throw std::bad_alloc();
  return std::memset(start, 0xFF, rounded);
}

}  // namespace emulation

inline void *device_memory(int64_t bytes) { return emulation::filled_memory(bytes); }
inline void release_device_memory(void *start) { std::free(start); }
inline void *pinned_memory(int64_t bytes) { return emulation::filled_memory(bytes); }
inline void release_pinned_memory(void *start) { std::free(start); }

// The kernels are compiled for the emulated device, whichever it is.
template <typename... Parameters>
void require_code(void (*)(Parameters...)) {}

inline cudaStream_t new_stream() { return new emulation::LateStream; }
inline void release_stream(cudaStream_t stream) {
  delete static_cast<emulation::LateStream *>(stream);
}

inline cudaEvent_t new_event() { return new emulation::LateEvent; }
inline void release_event(cudaEvent_t event) { delete event; }

inline void copy_to_device(void *to, const void *from, int64_t bytes, cudaStream_t stream) {
  emulation::enqueue(stream, [=] { std::memcpy(to, from, size_t(bytes)); });
}
inline void copy_to_host(void *to, const void *from, int64_t bytes, cudaStream_t stream) {
  copy_to_device(to, from, bytes, stream);
}

inline void record(cudaEvent_t event, cudaStream_t stream) {
  auto *of = static_cast<emulation::LateStream *>(stream);
  *event = {of, of->last()};
}

inline void wait_for(cudaStream_t stream, cudaEvent_t event) {
  emulation::enqueue(stream, [waited = *event] {
    if (waited.stream != nullptr) emulation::run_until(*waited.stream, waited.last);
  });
}

inline void synchronize(cudaStream_t stream) {
  auto *of = static_cast<emulation::LateStream *>(stream);
  emulation::run_until(*of, of->last());
}

// There is one device, 0.
inline int use_device(int device) {
  if (device != 0)
    throw std::runtime_error("CUDA device " + std::to_string(device) + ": invalid device ordinal");
  return 0;
}
inline void return_to_device(int) {}

}  // namespace plumbline
