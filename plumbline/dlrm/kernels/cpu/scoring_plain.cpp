// The loops of scoring for the instruction set "plain".
#define PLUMBLINE_INSTRUCTION_SET plain
#include "scoring_loops.inc"

namespace plumbline {

ScoringLoops scoring_loops_plain(Number number) { return plain::scoring_loops(number); }

}  // namespace plumbline
