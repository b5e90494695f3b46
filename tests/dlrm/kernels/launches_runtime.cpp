// The part of CUDA's runtime that a launch uses: it writes down the calls, and launches nothing.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <string>
#include <utility>

namespace {

constexpr int kMost = 227 * 1024, kStatic = 1024;

std::string written;
int device = 0;
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
