#include "memory.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "async_copy.h"

namespace plumbline::emulation {
namespace {

constexpr size_t kGrain = 2;  // bytes: the smallest item in shared memory is a half float
constexpr int kNobody = -1, kSeveral = -2, kCopy = -3;

// A thread's access, and the number of barriers that it and its warp had passed.
struct Access {
  int thread = kNobody;
  int warp = kNobody;
  uint32_t warp_barriers = 0, barriers = 0;
};

// Accesses since the last write: the write, the last read, and other reads.
struct Grain {
  Access writer, reader, readers;
  bool under_way = false;  // an asynchronous copy to it has not been waited for
};

constexpr int kUnwritten = 0xFF;  // a NaN in any float

std::vector<unsigned char> bytes;
unsigned char *memory_start = nullptr;
std::vector<Grain> grains;

Access now(const Thread &self) {
  return {self.number, self.warp, self.warp_barriers, block().barriers};
}

bool ordered(const Access &earlier, const Access &later) {
  if (earlier.thread == kNobody || earlier.thread == later.thread) return true;
  if (earlier.barriers < later.barriers) return true;
  return earlier.warp == later.warp && earlier.warp_barriers < later.warp_barriers;
}

[[noreturn]] void fail_race(const char *what, size_t grain, const Access &earlier) {
  const std::string who =
      earlier.thread == kSeveral ? "several threads" : "thread " + std::to_string(earlier.thread);
  fail(std::string(what) + " of shared memory at byte " + std::to_string(grain * kGrain) +
       " with no barrier since " + who + (what[0] == 'r' ? " wrote it" : " used it"));
}

void check_no_copy(const char *what, size_t number, const Grain &grain) {
  if (grain.under_way)
    fail(std::string(what) + " of shared memory at byte " + std::to_string(number * kGrain) +
         " before thread " + std::to_string(grain.writer.thread) + " waited for its copy to it");
}

template <typename Visit>
void each_grain(const void *place, size_t count, Visit visit) {
  const size_t first = static_cast<const unsigned char *>(place) - memory_start;
  for (size_t grain = first / kGrain; grain < (first + count + kGrain - 1) / kGrain; ++grain)
    visit(grain, grains[grain]);
}

void write(const void *place, size_t count, const Access &self) {
  each_grain(place, count, [&](size_t number, Grain &grain) {
    check_no_copy("write", number, grain);
    for (const Access &earlier : {grain.writer, grain.reader, grain.readers})
      if (!ordered(earlier, self)) fail_race("write", number, earlier);
    grain = {self, Access(), Access()};
  });
}

}  // namespace

void new_shared_memory(size_t count) {
  constexpr size_t kAlignment = 128;
  bytes.assign(count + kAlignment, kUnwritten);
  const size_t over = reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment;
  memory_start = bytes.data() + (kAlignment - over) % kAlignment;
  grains.assign((count + kGrain - 1) / kGrain, Grain());
  forget_copies();
}

unsigned char *shared_memory(size_t offset, size_t count) {
  if (offset + count > grains.size() * kGrain)
    fail("an array of " + std::to_string(count) + " bytes from byte " + std::to_string(offset) +
         " of shared memory; the launch requested " + std::to_string(grains.size() * kGrain));
  return memory_start + offset;
}

void shared_read(const void *place, size_t count, const Thread &reader) {
  const Access self = now(reader);
  each_grain(place, count, [&](size_t number, Grain &grain) {
    check_no_copy("read", number, grain);
    if (grain.writer.thread == kNobody)
      fail("read of shared memory that was never written, at byte " + std::to_string(number * kGrain));
    if (!ordered(grain.writer, self)) fail_race("read", number, grain.writer);
    if (grain.reader.thread != self.thread && grain.reader.thread != kNobody) {
      Access &all = grain.readers;
      const int warp =
          all.thread == kNobody || all.warp == grain.reader.warp ? grain.reader.warp : kSeveral;
      all = {kSeveral, warp, std::max(all.warp_barriers, grain.reader.warp_barriers),
             std::max(all.barriers, grain.reader.barriers)};
    }
    grain.reader = self;
  });
}

void shared_write(const void *place, size_t count) { write(place, count, now(thread())); }

// Only a barrier orders a copy after other accesses, also after those of its own thread.
void shared_copy_begins(void *place, size_t count) {
  const Access self = now(thread());
  Access copy = self;
  copy.thread = kCopy;
  write(place, count, copy);
  std::memset(place, kUnwritten, count);
  each_grain(place, count, [&](size_t, Grain &grain) {
    grain.writer = self;
    grain.under_way = true;
  });
}

void shared_copy_ends(void *place, size_t count) {
  each_grain(place, count, [](size_t, Grain &grain) { grain.under_way = false; });
  shared_write(place, count);
}

void fail_bounds(const char *memory, int64_t first, int64_t items, int64_t count) {
  fail(std::string(memory) + " access to items " + std::to_string(first) + " to " +
       std::to_string(first + items - 1) + " of an array of " + std::to_string(count));
}

void fail_alignment(const char *memory, int64_t first, size_t wanted) {
  fail(std::string(memory) + " access at item " + std::to_string(first) +
       ", which is not aligned to " + std::to_string(wanted) + " bytes");
}

}  // namespace plumbline::emulation
