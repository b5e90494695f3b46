// One product of emulated tiles, for test_cpu_tiles.py: C in tile 0, A in tile 1, B in tile 2, all
// with rows 64 bytes apart. Returns what the tiles refuse, or null.
#include "tiles.h"

#include <string>

namespace {

enum Kind { bf16, s8s8, u8s8, into_itself };

void run(const plumbline::TileShapes &shapes, int kind, const void *a, const void *b, void *c) {
  plumbline::Tiles tiles(shapes);
  tiles.load<0>(c, 64);
  tiles.load<1>(a, 64);
  tiles.load<2>(b, 64);
  if (kind == bf16) tiles.dot_bf16<0, 1, 2>();
  if (kind == s8s8) tiles.dot_s8s8<0, 1, 2>();
  if (kind == u8s8) tiles.dot_u8s8<0, 1, 2>();
  if (kind == into_itself) tiles.dot_bf16<0, 0, 2>();
  tiles.store<0>(c, 64);
}

}  // namespace

extern "C" const char *tile_product(const plumbline::TileShapes *shapes, int kind, const void *a,
                                    const void *b, void *c) {
  static std::string refused;
  try {
    run(*shapes, kind, a, b, c);
  } catch (const std::exception &error) {
    refused = error.what();
    return refused.c_str();
  }
  return nullptr;
}

// What a second `Tiles` in one thread is told.
extern "C" const char *tiles_twice(const plumbline::TileShapes *shapes) {
  static std::string refused;
  const plumbline::Tiles first(*shapes);
  try {
    const plumbline::Tiles second(*shapes);
  } catch (const std::exception &error) {
    refused = error.what();
    return refused.c_str();
  }
  return nullptr;
}
