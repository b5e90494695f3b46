#include "stream.h"

#include <utility>

namespace plumbline::emulation {

void enqueue(void *stream, std::function<void()> work) {
  if (stream == nullptr)
    work();
  else
    static_cast<LateStream *>(stream)->given.push_back(std::move(work));
}

void run_until(LateStream &stream, uint64_t last) {
  while (stream.done < last) {
    const std::function<void()> work = std::move(stream.given.front());
    stream.given.pop_front();
    ++stream.done;
    work();
  }
}

}  // namespace plumbline::emulation
