// The embedding loops for the instruction set "avx512bf16".
#if defined(__x86_64__)
#define PLUMBLINE_INSTRUCTION_SET avx512bf16
#include "embedding_loops.inc"

namespace plumbline {

const EmbeddingLoops &embedding_loops_avx512bf16() { return avx512bf16::loops; }

}  // namespace plumbline
#endif

