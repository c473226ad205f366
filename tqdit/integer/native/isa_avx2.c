/* isa_avx2.c - AVX2 multiplies bytes only with a catch: vpmaddubsw adds two products u8 x s8 in 16 bits and saturates.

   Where two products always fit (`small`), that is what we use, and vpmaddwd with ones adds pairs in 32 bits: 3
   instructions for 32 multiply-adds. Otherwise codes and weights are first widened to 16 bits, and vpmaddwd multiplies
   those: 2 instructions for 16. A fused multiply-add of floats does 8, on two of the three ports that vpmaddwd and the
   addition can share.

   Widening is done once for a tile of 24 rows, in chunks of 256 inputs that stay in the first-level cache: a chunk of
   4 neighbouring inputs x0 x1 x2 x3 (bytes of a 32-bit lane) becomes two lanes of 16-bit pairs, (x0, x2) and (x1, x3),
   which takes shifts only. Codes are widened alike, so pairs meet pairs.

   A block, 6 rows by 16 channels, keeps 12 of the 16 registers as sums; 2 hold weights, 1 codes, 1 products. Sums of a
   chunk go on from what `out` holds. */
#include <immintrin.h>
#include <string.h>

#include "isa.h"
#include "vector.h"
#include "x86.h"

enum {
    ROWS = 24,
    BLOCK = 6,              /* rows whose sums are in registers at once */
    CHUNK = 256,            /* inputs that are widened at once */
    BYTES = 4 * TQ_PANEL,   /* of a panel: 4 inputs of all channels */
};

static int supported(void) { return has_avx2(); }
static void nothing(void) {}

/* 32 bytes: 4 neighbours in each of 8 lanes of 32 bits. */
ALWAYS_INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
ALWAYS_INLINE void store(void *p, __m256i v) { _mm256_storeu_si256((__m256i *)p, v); }

/* The same lane 8 times. */
ALWAYS_INLINE __m256i broadcast(const void *p) {
    int32_t lane;
    memcpy(&lane, p, sizeof lane);
    return _mm256_set1_epi32(lane);
}

/* Codes of one row: 8 lanes of (x0 x1 x2 x3) become 8 lanes of (x0, x2), then 8 of (x1, x3). */
static void widen_codes(const uint8_t *a, int64_t n, int16_t *wide) {
    const __m256i even = _mm256_set1_epi16(255);
    for (int64_t k = 0; k < n; k += 32, wide += 32) {
        const __m256i codes = load(a + k);
        store(wide, _mm256_and_si256(codes, even));
        store(wide + 16, _mm256_srli_epi16(codes, 8));
    }
}

/* Weights of 16 channels, in the same order of inputs: 8 times 16 lanes of (w0, w2), then 8 times 16 of (w1, w3).
   Each step asks for one more line of the memory at `next`. */
static void widen_weights(const int8_t *panel, const int8_t *next, int64_t n, int16_t *wide) {
    for (int64_t k = 0; k < n; k += 4, panel += BYTES) {
        _mm_prefetch((const char *)next + 16 * k, _MM_HINT_T0);
        int16_t *even = wide + k / 32 * 512 + k % 32 * 8, *odd = even + 256;
        const __m256i left = load(panel), right = load(panel + 32);
        store(even, _mm256_srai_epi16(_mm256_slli_epi16(left, 8), 8));
        store(even + 16, _mm256_srai_epi16(_mm256_slli_epi16(right, 8), 8));
        store(odd, _mm256_srai_epi16(left, 8));
        store(odd + 16, _mm256_srai_epi16(right, 8));
    }
}

typedef __m256i block_sums[BLOCK][2];

ALWAYS_INLINE void load_sums(const int32_t *out, const int rows, block_sums sums) {
    UNROLL for (int i = 0; i < 2 * rows; i++) sums[i / 2][i % 2] = load(out + i / 2 * TQ_PANEL + i % 2 * 8);
}

ALWAYS_INLINE void store_sums(int32_t *out, const int rows, block_sums sums) {
    UNROLL for (int i = 0; i < 2 * rows; i++) store(out + i / 2 * TQ_PANEL + i % 2 * 8, sums[i / 2][i % 2]);
}

/* Pairs of 16-bit codes with pairs of 16-bit weights; rows of codes are CHUNK apart. */
ALWAYS_INLINE void block_wide(const int16_t *codes, const int16_t *weights, int64_t n, int32_t *out, const int rows) {
    block_sums sums;
    load_sums(out, rows, sums);
    for (const int16_t *end = codes + n; codes < end; codes += 2, weights += 2 * TQ_VECTOR) {
        const __m256i left = load(weights), right = load(weights + 16);
        UNROLL for (int r = 0; r < rows; r++) {
            const __m256i pair = broadcast(codes + r * CHUNK);
            sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(pair, left));
            sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(pair, right));
        }
    }
    store_sums(out, rows, sums);
}

/* An addition that stays where it is written: gcc would move them together, and run out of registers. */
ALWAYS_INLINE __m256i plus(__m256i sum, __m256i products) {
    sum = _mm256_add_epi32(sum, products);
    __asm__ volatile("" : "+x"(sum));
    return sum;
}

/* Bytes as they are, where two products fit into 16 bits. */
ALWAYS_INLINE void block_small(const uint8_t *a, int64_t stride, const int8_t *panel, int64_t n, int32_t *out,
                               const int rows) {
    const __m256i ones = _mm256_set1_epi16(1);
    block_sums sums;
    load_sums(out, rows, sums);
    for (int64_t k = 0; k < n; k += 4, panel += BYTES) {
        UNROLL for (int r = 0; r < rows; r++) {
            const __m256i codes = broadcast(a + r * stride + k);
            const __m256i left = _mm256_maddubs_epi16(codes, load(panel));
            const __m256i right = _mm256_maddubs_epi16(codes, load(panel + 32));
            sums[r][0] = plus(sums[r][0], _mm256_madd_epi16(left, ones));
            sums[r][1] = plus(sums[r][1], _mm256_madd_epi16(right, ones));
        }
    }
    store_sums(out, rows, sums);
}

/* Call `f(..., rows)` with a constant. */
#define WITH_ROWS(rows, f, ...) \
    switch (rows) { \
        case 1: f(__VA_ARGS__, 1); break; \
        case 2: f(__VA_ARGS__, 2); break; \
        case 3: f(__VA_ARGS__, 3); break; \
        case 4: f(__VA_ARGS__, 4); break; \
        case 5: f(__VA_ARGS__, 5); break; \
        default: f(__VA_ARGS__, 6); \
    }

APART void blocks_small(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t n, int32_t *out) {
    for (int r = 0; r < rows; r += BLOCK) {
        WITH_ROWS(rows - r, block_small, a + r * stride, stride, panel, n, out + r * TQ_PANEL)
    }
}

APART void blocks_wide(const int16_t *codes, int rows, const int16_t *weights, int64_t n, int32_t *out) {
    for (int r = 0; r < rows; r += BLOCK) {
        WITH_ROWS(rows - r, block_wide, codes + r * CHUNK, weights, n, out + r * TQ_PANEL)
    }
}

static void tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int small,
                 int32_t *out) {
    int16_t codes[ROWS * CHUNK], weights[TQ_VECTOR * CHUNK];
    memset(out, 0, sizeof(int32_t) * TQ_PANEL * (size_t)rows);
    for (int64_t k = 0; k < K; k += CHUNK) {
        const int64_t n = K - k < CHUNK ? K - k : CHUNK;
        for (int r = 0; r < rows && !small; r++) widen_codes(a + r * stride + k, n, codes + r * CHUNK);
        for (int v = 0; v < vectors; v++) {
            const int8_t *part = panel + k * TQ_PANEL + v * 4 * TQ_VECTOR;
            if (small) {
                blocks_small(a + k, stride, rows, part, n, out + v * TQ_VECTOR);
            } else {
                widen_weights(part, panel + (k + CHUNK) * TQ_PANEL + v * 16 * n, n, weights);
                blocks_wide(codes, rows, weights, n, out + v * TQ_VECTOR);
            }
        }
    }
}

/* Both instructions of a multiply-add, on 12 independent sums. */
static double peak(int64_t repeats) {
    enum { SUMS = 12 };
    __m256i sums[SUMS], codes = _mm256_set1_epi16(1), weights = _mm256_set1_epi16(-1);
    UNROLL for (int i = 0; i < SUMS; i++) sums[i] = _mm256_set1_epi32(i);
    for (int64_t n = 0; n < repeats; n++) {
        UNROLL for (int i = 0; i < SUMS; i++) {
            __asm__ volatile("" : "+x"(codes), "+x"(weights)); /* or the compiler would multiply once */
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(codes, weights));
        }
    }
    UNROLL for (int i = 0; i < SUMS; i++) __asm__ volatile("" : : "x"(sums[i]));
    return 2.0 * 16 * SUMS * (double)repeats;
}

const tq_isa tq_isa_avx2 = {
    .name = "avx2", .rows = ROWS, .group = 4, .offset = 0, .supported = supported,
    .begin = nothing, .end = nothing, .tile = tile, .peak = peak, TQ_VECTOR_FUNCTIONS
};
