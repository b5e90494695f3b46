// The embedding loops for the instruction set "avx2".
#if defined(__x86_64__)
#define PLUMBLINE_INSTRUCTION_SET avx2
#include "embedding_loops.inc"

namespace plumbline {

const EmbeddingLoops &embedding_loops_avx2() { return avx2::loops; }

}  // namespace plumbline
#endif

