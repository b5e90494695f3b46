// The part of CUDA's runtime that launches and scoring use: it writes down the calls, and launches
// nothing. Memory of the device is that of the host, and copies are made at once.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace {

constexpr int kMost = 227 * 1024, kStatic = 1024;

std::string written;
int device = 0;
int streams = 0, events = 0;  // made so far
int taken = 0;                // blocks of memory
bool has_memory = true, copies = true;
cudaError_t last_error = cudaSuccess, next_attribute = cudaSuccess;

}  // namespace

extern "C" {

void use_device(int number) { device = number; }

void refuse_next_attribute() { next_attribute = cudaErrorInvalidValue; }

const char *calls() {
  static std::string read;
  read = std::move(written);
  written.clear();
  return read.c_str();
}

cudaError_t cudaGetDevice(int *to) {
  *to = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *to, cudaDeviceAttr, int) {
  *to = kMost;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int number) {
  if (number != device) written += " device " + std::to_string(number);
  device = number;
  return cudaSuccess;
}

void refuse_next_memory() { has_memory = false; }

void refuse_next_copy() { copies = false; }

const char *note(const char *what) {
  written += std::string(" ") + what;
  return nullptr;
}

// Whether it is permitted; the next time it is.
bool next_time(bool &permitted) {
  const bool now = permitted;
  permitted = true;
  return now;
}

cudaError_t cudaMalloc(void **to, size_t bytes) {
  if (!next_time(has_memory)) return last_error = cudaErrorMemoryAllocation;
  *to = std::malloc(bytes);
  ++taken;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **to, size_t bytes, unsigned) { return cudaMalloc(to, bytes); }

cudaError_t cudaFree(void *memory) {
  std::free(memory);
  --taken;
  if (taken == 0) written += " all memory is free";
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory) { return cudaFree(memory); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *to, unsigned flags) {
  if (flags != cudaStreamNonBlocking) std::abort();
  *to = reinterpret_cast<cudaStream_t>(static_cast<size_t>(++streams));
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *to, unsigned flags) {
  if (flags != cudaEventDisableTiming) std::abort();
  *to = reinterpret_cast<cudaEvent_t>(static_cast<size_t>(++events));
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }

std::string named(const void *handle) { return std::to_string(reinterpret_cast<size_t>(handle)); }

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  written += " record " + named(event) + " on " + named(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  written += " wait for " + named(event) + " on " + named(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  written += " synchronize " + named(stream);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (!next_time(copies)) return last_error = cudaErrorIllegalAddress;
  written += (kind == cudaMemcpyHostToDevice ? " send " : " get ") + std::to_string(bytes) + " on " +
             named(stream);
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *to, const void *) {
  to->sharedSizeBytes = kStatic;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *, cudaFuncAttribute, int bytes) {
  written += " set " + std::to_string(bytes);
  const cudaError_t error = next_attribute;
  next_attribute = cudaSuccess;
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

const char *cudaGetErrorString(cudaError_t) { return "an error"; }

unsigned __cudaPushCallConfiguration(dim3, dim3, size_t bytes, cudaStream_t) {
  written += " launch " + std::to_string(bytes);
  return 1;  // skips the launch itself
}

// What nvcc's code refers to for a launch itself, in CUDA 12 and 13, and does not reach.
cudaError_t cudaLaunchKernel(const void *, dim3, dim3, void **, size_t, cudaStream_t) {
  std::abort();
}
void __cudaLaunchKernel() { std::abort(); }
void __cudaGetKernel() { std::abort(); }
void __cudaInitModule() { std::abort(); }
void __cudaPopCallConfiguration() { std::abort(); }

// What it calls when a program starts and ends.
void **__cudaRegisterFatBinary(void *) { return nullptr; }
void __cudaRegisterFatBinaryEnd(void **) {}
void __cudaUnregisterFatBinary(void **) {}
void __cudaRegisterFunction(void **, const char *, char *, const char *, int, uint3 *, uint3 *,
                            dim3 *, dim3 *, int *) {}
}
