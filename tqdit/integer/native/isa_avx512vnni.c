/* isa_avx512vnni.c - AVX512-VNNI: 64 multiply-adds of bytes in one instruction.

   tile_avx512vnni.h says how a tile is made of them. */
#include "tile_avx512vnni.h"
#include "vector.h"

static int supported(void) { return has_avx512vnni(); }
static void nothing(void) {}

static void tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int fits,
                 int32_t *out) {
    (void)fits; /* vpdpbusd adds in 32 bits: nothing saturates */
    vnni_tile(a, stride, rows, panel, K, vectors, out);
}

/* 24 independent sums: more than the 10 that keep both multipliers busy. */
static double peak(int64_t repeats) {
    enum { SUMS = 24 };
    __m512i sums[SUMS], codes = _mm512_set1_epi8(1), weights = _mm512_set1_epi8(-1);
    UNROLL for (int i = 0; i < SUMS; i++) sums[i] = _mm512_set1_epi32(i);
    for (int64_t n = 0; n < repeats; n++) {
        __asm__ volatile("" : "+v"(codes), "+v"(weights)); /* or the compiler would multiply once */
        UNROLL for (int i = 0; i < SUMS; i++) sums[i] = _mm512_dpbusd_epi32(sums[i], codes, weights);
    }
    UNROLL for (int i = 0; i < SUMS; i++) __asm__ volatile("" : : "v"(sums[i]));
    return 2.0 * 64 * SUMS * (double)repeats;
}

const tq_isa tq_isa_avx512vnni = {
    .name = "avx512vnni", .rows = VNNI_TILE, .group = 4, .offset = 0, .supported = supported,
    .begin = nothing, .end = nothing, .tile = tile, .peak = peak, TQ_VECTOR_FUNCTIONS
};
