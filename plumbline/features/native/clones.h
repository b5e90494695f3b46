// Functions compiled for AVX-512 of a name, for AVX2 and for any processor; the linker takes one at start.
#pragma once

#if defined(__x86_64__) && defined(__gnu_linux__)
#define PLUMBLINE_CLONES(widest) __attribute__((target_clones(widest, "avx2", "default")))
#else
#define PLUMBLINE_CLONES(widest)
#endif
