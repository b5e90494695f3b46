// What the host side asks of CUDA's runtime besides launches: memory, copies, streams and events.
// The emulation has the same functions.
#pragma once

#include "device.cuh"

#ifdef PLUMBLINE_EMULATED

#include "../emulation/runtime.h"

#else

#include <cuda_runtime_api.h>

namespace plumbline {

// DLPack's number of the kind of memory that `device_memory` gives: CUDA's.
constexpr int kMemoryKind = 2;

inline void require_success(const std::string &what, cudaError_t error) {
  if (error != cudaSuccess) fail_launch(what.c_str(), error);
}

inline void *device_memory(int64_t bytes) {
  void *start = nullptr;
  require_success(std::to_string(bytes) + " bytes of the device's memory",
                  cudaMalloc(&start, size_t(bytes)));
  return start;
}

inline void release_device_memory(void *start) { cudaFree(start); }

// Host memory that the device copies from and to by itself.
inline void *pinned_memory(int64_t bytes) {
  void *start = nullptr;
  require_success(std::to_string(bytes) + " bytes of pinned memory",
                  cudaHostAlloc(&start, size_t(bytes), cudaHostAllocDefault));
  return start;
}

inline void release_pinned_memory(void *start) { cudaFreeHost(start); }

// Fails if a kernel was not compiled for the current device.
template <typename... Parameters>
void require_code(void (*kernel)(Parameters...)) {
  cudaFuncAttributes attributes{};
  require_success("the kernels on this device",
                  cudaFuncGetAttributes(&attributes, reinterpret_cast<const void *>(kernel)));
}

// A stream that does not wait for the default one.
inline cudaStream_t new_stream() {
  cudaStream_t stream = nullptr;
  require_success("a stream", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

inline void release_stream(cudaStream_t stream) { cudaStreamDestroy(stream); }

inline cudaEvent_t new_event() {
  cudaEvent_t event = nullptr;
  require_success("an event", cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return event;
}

inline void release_event(cudaEvent_t event) { cudaEventDestroy(event); }

inline void copy_to_device(void *to, const void *from, int64_t bytes, cudaStream_t stream) {
  require_success("a copy to the device",
                  cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyHostToDevice, stream));
}

inline void copy_to_host(void *to, const void *from, int64_t bytes, cudaStream_t stream) {
  require_success("a copy to the host",
                  cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyDeviceToHost, stream));
}

// The event is what the stream has been given so far.
inline void record(cudaEvent_t event, cudaStream_t stream) {
  require_success("an event's record", cudaEventRecord(event, stream));
}

// What the stream is given from now on waits for the event.
inline void wait_for(cudaStream_t stream, cudaEvent_t event) {
  require_success("a stream's wait", cudaStreamWaitEvent(stream, event, 0));
}

// Waits until the stream has done all that it was given.
inline void synchronize(cudaStream_t stream) {
  require_success("the device's work", cudaStreamSynchronize(stream));
}

// Makes the device the thread's current one, and returns the one before.
inline int use_device(int device) {
  int before = 0;
  require_success("the current CUDA device", cudaGetDevice(&before));
  require_success("CUDA device " + std::to_string(device), cudaSetDevice(device));
  return before;
}

inline void return_to_device(int device) { cudaSetDevice(device); }

}  // namespace plumbline

#endif

#include <memory>

namespace plumbline {

// The thread's current device while it lives.
class OnDevice {
 public:
  explicit OnDevice(int device) : before_(use_device(device)) {}
  ~OnDevice() { return_to_device(before_); }
  OnDevice(const OnDevice &) = delete;
  OnDevice &operator=(const OnDevice &) = delete;

 private:
  int before_;
};

// `count` items in memory of the device or in pinned memory; none at first.
template <typename T>
class Block {
 public:
  Block() : start_(nullptr, release_device_memory) {}
  static Block on_device(int64_t count) {
    return Block(count, device_memory(bytes_of(count)), release_device_memory);
  }
  static Block pinned(int64_t count) {
    return Block(count, pinned_memory(bytes_of(count)), release_pinned_memory);
  }

  T *get() const { return static_cast<T *>(start_.get()); }
  int64_t count() const { return count_; }

 private:
  Block(int64_t count, void *start, void (*release)(void *))
      : count_(count), start_(start, release) {}
  static int64_t bytes_of(int64_t count) { return (count > 0 ? count : 1) * int64_t(sizeof(T)); }

  int64_t count_ = 0;
  std::unique_ptr<void, void (*)(void *)> start_;
};

class Stream {
 public:
  Stream() : stream_(new_stream()) {}
  ~Stream() { release_stream(stream_); }
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_;
};

class Event {
 public:
  Event() : event_(new_event()) {}
  ~Event() { release_event(event_); }
  Event(const Event &) = delete;
  Event &operator=(const Event &) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_;
};

}  // namespace plumbline
