// The loops of scoring for the instruction set "avx512bf16".
#if defined(__x86_64__)
#define PLUMBLINE_INSTRUCTION_SET avx512bf16
#include "scoring_loops.inc"

namespace plumbline {

ScoringLoops scoring_loops_avx512bf16(Number number) { return avx512bf16::scoring_loops(number); }

}  // namespace plumbline
#endif
