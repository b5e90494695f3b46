// Scoring's layers on emulated tiles, alone, for test_scoring_tiles.py. Each function returns what
// went wrong, or null.
#include "scoring_int8_loops.cpp"

#include <exception>
#include <string>

namespace {

using namespace plumbline;

template <class Work>
const char *run(const Work &work) {
  static std::string wrong;
  try {
    work();
  } catch (const std::exception &error) {
    wrong = error.what();
    return wrong.c_str();
  }
  return nullptr;
}

PackedLayer layer_of(const void *weight, const float *bias, int64_t depth, int64_t panels) {
  return {weight, bias, depth, (depth + kTileDepth - 1) / kTileDepth * kTileDepth, panels};
}

}  // namespace

extern "C" const char *layer_in_bf16(const void *weight, const float *bias, int64_t depth,
                                     int64_t panels, void *in, int64_t in_stride, void *out,
                                     int64_t out_stride, int64_t width, int64_t rows) {
  return run([&] {
    linear_relu_on_tiles<Bfloat16>(layer_of(weight, bias, depth, panels), {in, in_stride},
                                   {out, out_stride}, width, rows);
  });
}

extern "C" const char *layer_in_int8(const void *weight, const float *scale, const float *bias,
                                     int64_t depth, int64_t panels, int8_t *in, float *in_scale,
                                     int64_t in_stride, float *out, int64_t out_stride,
                                     int64_t rows) {
  return run([&] {
    const Int8Layer layer{layer_of(weight, bias, depth, panels), scale, true};
    int8_linear_relu_on_tiles(layer, {in, in_scale, in_stride}, out, out_stride, rows);
  });
}
