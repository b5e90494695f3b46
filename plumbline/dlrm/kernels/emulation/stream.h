// Streams, as late as the hardware may be: what a stream is given runs when somebody waits for it. A
// kernel or a host that reads before it has waited finds what was there before.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

namespace plumbline::emulation {

struct LateStream {
  std::deque<std::function<void()>> given;
  uint64_t done = 0;

  uint64_t last() const { return done + given.size(); }
};

// What a stream had been given when the event was recorded.
struct LateEvent {
  LateStream *stream = nullptr;
  uint64_t last = 0;
};

// Gives work to a stream; without one it runs now.
void enqueue(void *stream, std::function<void()> work);

// Runs what the stream was given, up to its item `last`.
void run_until(LateStream &stream, uint64_t last);

}  // namespace plumbline::emulation
