// The embedding loops for the instruction set "plain".
#define PLUMBLINE_INSTRUCTION_SET plain
#include "embedding_loops.inc"

namespace plumbline {

const EmbeddingLoops &embedding_loops_plain() { return plain::loops; }

}  // namespace plumbline

