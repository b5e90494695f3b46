#include "async_copy.h"

#include <cstring>
#include <deque>
#include <map>
#include <vector>

#include "block.h"

namespace plumbline::emulation {
namespace {

struct Copy {
  void *to;
  const void *from;
  size_t bytes;
};

using Group = std::vector<Copy>;

struct Copies {
  Group open;
  std::deque<Group> committed;  // the oldest first
};

std::map<int, Copies> copies_of_thread;

Copies &copies() { return copies_of_thread[thread().number]; }

}  // namespace

void begin_copy(void *to, const void *from, size_t bytes) {
  shared_copy_begins(to, bytes);
  copies().open.push_back({to, from, bytes});
}

void commit_copies() {
  Copies &own = copies();
  own.committed.push_back(std::move(own.open));
  own.open.clear();
}

void wait_for_copies(size_t pending) {
  std::deque<Group> &committed = copies().committed;
  for (; committed.size() > pending; committed.pop_front())
    for (const Copy &each : committed.front()) {
      shared_copy_ends(each.to, each.bytes);
      std::memcpy(each.to, each.from, each.bytes);
    }
}

void forget_copies() { copies_of_thread.clear(); }

}  // namespace plumbline::emulation
