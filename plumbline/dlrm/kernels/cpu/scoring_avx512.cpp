// The loops of scoring for the instruction set "avx512".
#if defined(__x86_64__)
#define PLUMBLINE_INSTRUCTION_SET avx512
#include "scoring_loops.inc"

namespace plumbline {

ScoringLoops scoring_loops_avx512(Number number) { return avx512::scoring_loops(number); }

}  // namespace plumbline
#endif
