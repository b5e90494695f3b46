// The embedding loops for the instruction set "avx512".
#if defined(__x86_64__)
#define PLUMBLINE_INSTRUCTION_SET avx512
#include "embedding_loops.inc"

namespace plumbline {

const EmbeddingLoops &embedding_loops_avx512() { return avx512::loops; }

}  // namespace plumbline
#endif

