/* arm.h - what an ARM processor supports, and two words for kernels. */
#ifndef TQDIT_ARM_H
#define TQDIT_ARM_H

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <stddef.h>
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

/* Row counts and register counts are constants after inlining, so that every loop over them unrolls into registers. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Weights are loaded where they are used: moved up by the compiler, they would push sums out of the registers. */
#define KEEP_ORDER __asm__ volatile("" : : : "memory")

#if defined(__APPLE__)
static inline int has_feature(const char *name) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value;
}
#endif

static inline int has_dotprod(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) >> 20 & 1) != 0; /* HWCAP_ASIMDDP */
#elif defined(__APPLE__)
    return has_feature("hw.optional.arm.FEAT_DotProd");
#elif defined(_WIN32)
    return IsProcessorFeaturePresent(43) != 0; /* PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE */
#else
    return 0;
#endif
}

static inline int has_i8mm(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP2) >> 13 & 1) != 0; /* HWCAP2_I8MM */
#elif defined(__APPLE__)
    return has_feature("hw.optional.arm.FEAT_I8MM");
#else
    return 0;
#endif
}

#endif
