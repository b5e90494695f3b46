// Launches through cuda/device.cuh with the runtime of launches_runtime.cpp. Prints a line for each
// launch: what it asked of the runtime, and its error.
#include <cstdio>

#include "device.cuh"

extern "C" {
void use_device(int device);
void refuse_next_attribute();
const char *calls();  // since the last call
}

namespace {

__global__ void one() {}
__global__ void two(int) {}

template <typename Call>
void tried(const char *what, Call call) {
  std::string error;
  try {
    call();
  } catch (const std::runtime_error &raised) {
    error = raised.what();
  }
  std::printf("%s:%s; %s\n", what, calls(), error.c_str());
}

plumbline::Launch launch(int64_t bytes) {
  return plumbline::Launch{"one", dim3{1}, dim3{32}, bytes, nullptr};
}

}  // namespace

int main() {
  tried("little", [] { launch(48 * 1024)(one); });
  refuse_next_attribute();
  tried("refused", [] { launch(60 * 1024)(one); });
  tried("little again", [] { launch(1024)(one); });
  tried("much", [] { launch(60 * 1024)(one); });
  tried("more", [] { launch(90 * 1024)(one); });
  tried("less", [] { launch(50 * 1024)(one); });
  tried("another kernel", [] { launch(60 * 1024)(two, 3); });
  use_device(1);
  tried("another device", [] { launch(60 * 1024)(one); });
  use_device(0);
  tried("back", [] { launch(60 * 1024)(one); });
}
