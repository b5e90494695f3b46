#include "block.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <vector>

#include "memory.h"
#include "random.h"

namespace plumbline::emulation {
namespace {

constexpr size_t kStackBytes = 128 * 1024;

enum class State { ready, at_block_barrier, in_warp, finished };

struct Fibre {
  Thread thread;
  State state = State::ready;
  const char *operation = nullptr;
  unsigned mask = 0;
  void *operand = nullptr;
  jmp_buf place;
  bool started = false;
  ucontext_t entry;
  void *stack = nullptr;
};

struct Scheduler {
  std::string kernel;
  Block block;
  std::vector<Fibre *> fibres;  // of this block
  std::vector<Fibre *> ready;   // those that can run
  Fibre *running = nullptr;
  const std::function<void()> *body = nullptr;
  std::exception_ptr thrown;
  jmp_buf place;
  std::vector<std::unique_ptr<Fibre>> kept;  // with their stacks, for later blocks
};

Scheduler scheduler;

std::string text(const dim3 &at) {
  return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) +
         ")";
}

// Switches from a fibre to `run_block`, which continues another one.
void yield() {
  Fibre &self = *scheduler.running;
  if (_setjmp(self.place) == 0) _longjmp(scheduler.place, 1);
}

void enter() {
  try {
    (*scheduler.body)();
  } catch (...) {
    if (!scheduler.thrown) scheduler.thrown = std::current_exception();
  }
  scheduler.running->state = State::finished;
  _longjmp(scheduler.place, 1);
}

Fibre &fibre(size_t number) {
  if (number < scheduler.kept.size()) return *scheduler.kept[number];
  auto made = std::make_unique<Fibre>();
  made->stack =
      mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (made->stack == MAP_FAILED) throw std::bad_alloc();
  return *scheduler.kept.emplace_back(std::move(made));
}

void resume(Fibre &next) {
  scheduler.running = &next;
  if (_setjmp(scheduler.place) != 0) return;
  if (next.started) _longjmp(next.place, 1);
  next.started = true;
  getcontext(&next.entry);
  next.entry.uc_stack.ss_sp = next.stack;
  next.entry.uc_stack.ss_size = kStackBytes;
  next.entry.uc_link = nullptr;
  makecontext(&next.entry, enter, 0);
  setcontext(&next.entry);
}

std::string deadlock() {
  std::string what = "threads wait for others that never arrive:";
  int listed = 0;
  for (const Fibre *each : scheduler.fibres) {
    if (++listed > 40) return what + " …";
    what += " " + std::to_string(each->thread.number) + " ";
    if (each->state == State::finished) what += "has ended,";
    if (each->state == State::at_block_barrier) what += "is at __syncthreads,";
    if (each->state == State::in_warp) what += std::string("is at ") + each->operation + ",";
  }
  what.pop_back();
  return what;
}

void release(Fibre &waiting) {
  waiting.state = State::ready;
  scheduler.ready.push_back(&waiting);
}

// Whether all lanes that `self` waits for have reached the same operation.
bool all_came(const Fibre &self, std::array<Fibre *, kWarp> &lanes) {
  const size_t first = size_t(self.thread.warp) * kWarp;
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!(self.mask >> lane & 1u)) continue;
    if (first + lane >= scheduler.fibres.size())
      fail(std::string(self.operation) + ": no such lane");
    Fibre *other = scheduler.fibres[first + lane];
    if (other->state != State::in_warp || !(other->mask >> self.thread.lane & 1u)) return false;
    if (other->mask != self.mask || std::string(other->operation) != self.operation)
      fail(std::string("lanes meet in different operations: ") + self.operation + " and " +
           other->operation);
    lanes[lane] = other;
  }
  return true;
}

}  // namespace

const Thread &thread() { return scheduler.running->thread; }
const Block &block() { return scheduler.block; }

void fail(const std::string &what) {
  std::string where = scheduler.kernel + ", block " + text(scheduler.block.index);
  if (scheduler.running != nullptr) where += ", thread " + text(scheduler.running->thread.index);
  throw std::runtime_error(where + ": " + what);
}

void meet_block() {
  scheduler.running->state = State::at_block_barrier;
  for (const Fibre *each : scheduler.fibres)
    if (each->state != State::at_block_barrier) return yield();
  ++scheduler.block.barriers;
  for (Fibre *each : scheduler.fibres) release(*each);
  yield();
}

void meet_warp(const char *operation, unsigned mask, void *operand, Collective collective) {
  Fibre &self = *scheduler.running;
  if (!(mask >> self.thread.lane & 1u))
    fail(std::string(operation) + ": this lane is not in its mask");
  self.state = State::in_warp;
  self.operation = operation;
  self.mask = mask;
  self.operand = operand;
  std::array<Fibre *, kWarp> lanes{};
  if (all_came(self, lanes)) {
    Operands operands{};
    for (Fibre *each : lanes) {
      if (each == nullptr) continue;
      operands[each->thread.lane] = each->operand;
      release(*each);
      if (collective == nullptr && mask == 0xffffffffu) ++each->thread.warp_barriers;
    }
    if (collective != nullptr) collective(operands);
  }
  yield();
}

void run_block(const std::string &kernel, const Block &block, size_t shared_bytes, uint64_t seed,
               const std::function<void()> &body) {
  scheduler.kernel = kernel;
  scheduler.block = block;
  scheduler.body = &body;
  scheduler.thrown = nullptr;
  scheduler.fibres.clear();
  new_shared_memory(shared_bytes);
  const unsigned threads = block.threads.x * block.threads.y * block.threads.z;
  for (unsigned number = 0; number < threads; ++number) {
    Fibre &each = fibre(number);
    const unsigned x = number % block.threads.x, rest = number / block.threads.x;
    each.thread = {{x, rest % block.threads.y, rest / block.threads.y},
                   int(number),
                   int(number / kWarp),
                   int(number % kWarp),
                   0};
    each.state = State::ready;
    each.started = false;
    scheduler.fibres.push_back(&each);
  }
  Random random(seed);
  scheduler.ready = scheduler.fibres;
  while (!scheduler.ready.empty() && !scheduler.thrown) {
    std::swap(scheduler.ready[random.below(scheduler.ready.size())], scheduler.ready.back());
    Fibre *next = scheduler.ready.back();
    scheduler.ready.pop_back();
    resume(*next);
  }
  scheduler.running = nullptr;
  if (scheduler.thrown) std::rethrow_exception(scheduler.thrown);
  for (const Fibre *each : scheduler.fibres)
    if (each->state != State::finished) fail(deadlock());
}

}  // namespace plumbline::emulation
