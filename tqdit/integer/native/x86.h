/* x86.h - what an x86 processor and its operating system support, and three words for kernels. */
#ifndef TQDIT_X86_H
#define TQDIT_X86_H

#include <cpuid.h>
#include <stdint.h>

/* Row counts and register counts are constants after inlining, so that every loop over them unrolls into registers. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* A loop that needs every register is compiled on its own: inlined, it would share them with the loops around it. */
#define APART static __attribute__((noinline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { EAX, EBX, ECX, EDX };

/* One bit of the processor's own list of features. */
static inline int has_feature(unsigned leaf, unsigned subleaf, int reg, int bit) {
    unsigned regs[4] = {0};
    if (!__get_cpuid_count(leaf, subleaf, &regs[EAX], &regs[EBX], &regs[ECX], &regs[EDX])) return 0;
    return regs[reg] >> bit & 1;
}

/* Registers survive a change of thread only if the operating system saves them; `state` has a bit for each kind:
   2 SSE, 4 AVX, 0xE0 AVX512, 0x60000 AMX. */
static inline int system_saves(uint64_t state) {
    uint32_t low, high;
    if (!has_feature(1, 0, ECX, 27)) return 0; /* no xgetbv to ask with */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (((uint64_t)high << 32 | low) & state) == state;
}

static inline int has_avx2(void) {
    return system_saves(0x6) && has_feature(1, 0, ECX, 12) /* FMA */ && has_feature(7, 0, EBX, 5);
}

static inline int has_avxvnni(void) { return has_avx2() && has_feature(7, 1, EAX, 4); }

static inline int has_avx512vnni(void) {
    const int f = has_feature(7, 0, EBX, 16), dq = has_feature(7, 0, EBX, 17);
    const int bw = has_feature(7, 0, EBX, 30), vl = has_feature(7, 0, EBX, 31);
    return has_avx2() && system_saves(0xE6) && f && dq && bw && vl && has_feature(7, 0, ECX, 11);
}

static inline int has_amx(void) {
    return has_avx512vnni() && system_saves(0x60000) && has_feature(7, 0, EDX, 24) && has_feature(7, 0, EDX, 25);
}

#endif
