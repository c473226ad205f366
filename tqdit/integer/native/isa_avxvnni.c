/* isa_avxvnni.c - AVX-VNNI: vpdpbusd with 8 lanes, on processors for laptops and desktops that lack AVX512.

   In each lane of 32 bits vpdpbusd multiplies 4 u8 codes with 4 s8 weights and adds all four products to a sum.
   There are 16 registers. A block, 6 rows by 16 channels, keeps 12 of them as sums (6 rows x 2 halves of a vector);
   2 hold weights and 1 holds codes. A step of 4 inputs takes 2 + 6 loads for 12 vpdpbusd: 0.67 loads each, where 1
   would be affordable. A panel of 64 channels is swept in 4 such blocks; each reads whole cache lines of its own. */
#include <immintrin.h>
#include <string.h>

#include "isa.h"
#include "vector.h"
#include "x86.h"

enum {
    ROWS = 6,
    ACROSS = 8,           /* registers across a panel */
    BYTES = 4 * TQ_PANEL, /* of a panel: 4 inputs of all channels */
};

static int supported(void) { return has_avxvnni(); }
static void nothing(void) {}

ALWAYS_INLINE __m256i four_codes(const uint8_t *a) {
    int32_t codes;
    memcpy(&codes, a, sizeof codes);
    return _mm256_set1_epi32(codes);
}

/* rows x wide registers of sums, 8 channels in each. Each step asks for one more line of the memory at `next`. */
ALWAYS_INLINE void block(const uint8_t *a, int64_t stride, const int8_t *panel, const int8_t *next, int64_t K,
                         int32_t *out, const int rows, const int wide) {
    __m256i sums[ROWS][ACROSS], weights[ACROSS];
    UNROLL for (int i = 0; i < rows * wide; i++) sums[i / wide][i % wide] = _mm256_setzero_si256();
    for (int64_t k = 0; k < K; k += 4, panel += BYTES) {
        _mm_prefetch((const char *)next + 16 * k, _MM_HINT_T1);
        UNROLL for (int v = 0; v < wide; v++) weights[v] = _mm256_loadu_si256((const __m256i *)(panel + 32 * v));
        UNROLL for (int r = 0; r < rows; r++) {
            const __m256i codes = four_codes(a + r * stride + k);
            UNROLL for (int v = 0; v < wide; v++)
                sums[r][v] = _mm256_dpbusd_avx_epi32(sums[r][v], codes, weights[v]);
        }
    }
    UNROLL for (int i = 0; i < rows * wide; i++)
        _mm256_storeu_si256((__m256i *)(out + i / wide * TQ_PANEL + 8 * (i % wide)), sums[i / wide][i % wide]);
}

static void tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int fits,
                 int32_t *out) {
    (void)fits; /* vpdpbusd adds in 32 bits: nothing saturates */
    const int8_t *next = panel + K * TQ_PANEL; /* the next panel, of which every vector fetches a quarter */
    if (rows == 1 && vectors == 4) {
        block(a, stride, panel, next, K, out, 1, ACROSS); /* one row: read the panel as it lies in memory */
        return;
    }
    for (int v = 0; v < vectors; v++, panel += 4 * TQ_VECTOR, next += 16 * K, out += TQ_VECTOR) {
        switch (rows) {
            case 1: block(a, stride, panel, next, K, out, 1, 2); break;
            case 2: block(a, stride, panel, next, K, out, 2, 2); break;
            case 3: block(a, stride, panel, next, K, out, 3, 2); break;
            case 4: block(a, stride, panel, next, K, out, 4, 2); break;
            case 5: block(a, stride, panel, next, K, out, 5, 2); break;
            default: block(a, stride, panel, next, K, out, 6, 2);
        }
    }
}

/* 12 independent sums: more than the 10 that keep both multipliers busy. */
static double peak(int64_t repeats) {
    enum { SUMS = 12 };
    __m256i sums[SUMS], codes = _mm256_set1_epi8(1), weights = _mm256_set1_epi8(-1);
    UNROLL for (int i = 0; i < SUMS; i++) sums[i] = _mm256_set1_epi32(i);
    for (int64_t n = 0; n < repeats; n++) {
        __asm__ volatile("" : "+x"(codes), "+x"(weights)); /* or the compiler would multiply once */
        UNROLL for (int i = 0; i < SUMS; i++) sums[i] = _mm256_dpbusd_avx_epi32(sums[i], codes, weights);
    }
    UNROLL for (int i = 0; i < SUMS; i++) __asm__ volatile("" : : "x"(sums[i]));
    return 2.0 * 32 * SUMS * (double)repeats;
}

const tq_isa tq_isa_avxvnni = {
    .name = "avxvnni", .rows = ROWS, .group = 4, .offset = 0, .supported = supported,
    .begin = nothing, .end = nothing, .tile = tile, .peak = peak, TQ_VECTOR_FUNCTIONS
};
