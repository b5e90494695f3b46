// The loops of scoring for the instruction set "avx2".
#if defined(__x86_64__)
#define PLUMBLINE_INSTRUCTION_SET avx2
#include "scoring_loops.inc"

namespace plumbline {

ScoringLoops scoring_loops_avx2(Number number) { return avx2::scoring_loops(number); }

}  // namespace plumbline
#endif
