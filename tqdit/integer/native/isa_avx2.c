/* isa_avx2.c - AVX2 multiplies bytes only with a catch: vpmaddubsw adds two products u8 x s8 in 16 bits and saturates.

   Where four products always fit (`fits`), four are added in 16 bits, and vpmaddwd with ones adds pairs in 32 bits: 5
   instructions for 64 products; 6 where two fit. Otherwise rows become small differences, which do fit; see
   differences_avx2.h. Where rows are too different, or too few for that, codes and weights are widened to 16 bits, and
   vpmaddwd multiplies those: 8 instructions. A fused multiply-add of floats would take as many.

   Widening is done once for a tile of 32 rows, in chunks of 256 inputs that stay in the first-level cache: a chunk of
   4 neighbouring inputs x0 x1 x2 x3 (bytes of a 32-bit lane) becomes two lanes of 16-bit pairs, (x0, x2) and (x1, x3),
   which takes shifts only. Codes are widened alike, so pairs meet pairs.

   A block of widened codes, 6 rows by 16 channels, keeps 12 of the 16 registers as sums; 2 hold weights, 1 codes, 1
   products. Sums of a chunk go on from what `out` holds. */
#include <immintrin.h>
#include <string.h>

#include "differences_avx2.h"
#include "isa.h"
#include "vector.h"
#include "x86.h"

enum { ROWS = TILE, WIDE_BLOCK = 6 };

static int supported(void) { return has_avx2(); }
static void nothing(void) {}

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

typedef __m256i block_sums[WIDE_BLOCK][2];

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

/* Codes as they are, where two products fit into 16 bits. */
ALWAYS_INLINE void block_of_two(const uint8_t *a, int64_t stride, const int8_t *panel, int64_t n, int32_t *out,
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
#define WITH_SIX(rows, f, ...) \
    switch (rows) { \
        CASE(1, f, __VA_ARGS__) CASE(2, f, __VA_ARGS__) CASE(3, f, __VA_ARGS__) CASE(4, f, __VA_ARGS__) \
        CASE(5, f, __VA_ARGS__) default: f(__VA_ARGS__, 6); \
    }

APART void blocks_of_two(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t n, int32_t *out) {
    for (int r = 0; r < rows; r += WIDE_BLOCK) {
        WITH_SIX(rows - r, block_of_two, a + r * stride, stride, panel, n, out + r * TQ_PANEL)
    }
}

APART void blocks_wide(const int16_t *codes, int rows, const int16_t *weights, int64_t n, int32_t *out) {
    for (int r = 0; r < rows; r += WIDE_BLOCK) {
        WITH_SIX(rows - r, block_wide, codes + r * CHUNK, weights, n, out + r * TQ_PANEL)
    }
}

/* One chunk, 16 channels. */
static void multiply_wide(const int16_t *codes, int rows, const int8_t *panel, const int8_t *next, int64_t n,
                          int32_t *out) {
    int16_t weights[TQ_VECTOR * CHUNK];
    widen_weights(panel, next, n, weights);
    blocks_wide(codes, rows, weights, n, out);
}

static void tile_wide(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors,
                      int32_t *out) {
    int16_t codes[ROWS * CHUNK];
    for (int64_t k = 0; k < K; k += CHUNK) {
        const int64_t n = K - k < CHUNK ? K - k : CHUNK;
        for (int r = 0; r < rows; r++) widen_codes(a + r * stride + k, n, codes + r * CHUNK);
        for (int v = 0; v < vectors; v++) {
            const int8_t *part = panel + k * TQ_PANEL + v * 4 * TQ_VECTOR, *next = panel + (k + CHUNK) * TQ_PANEL;
            multiply_wide(codes, rows, part, next + v * 16 * n, n, out + v * TQ_VECTOR);
        }
    }
}

/* `four`: four products fit, not two only. */
static void tile_small(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors,
                       int four, int32_t *out) {
    for (int64_t k = 0; k < K; k += CHUNK) {
        const int64_t n = K - k < CHUNK ? K - k : CHUNK;
        const int8_t *part = panel + k * TQ_PANEL;
        for (int v = 0; v < vectors && !four; v++)
            blocks_of_two(a + k, stride, rows, part + v * 4 * TQ_VECTOR, n, out + v * TQ_VECTOR);
        for (int v = 0; v < vectors * TQ_VECTOR / CHANNELS && four; v++)
            blocks_of_codes(a + k, stride, rows, part + v * 4 * CHANNELS, n, out + v * CHANNELS);
    }
}

static void tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int fits,
                 int32_t *out) {
    memset(out, 0, sizeof(int32_t) * TQ_PANEL * (size_t)rows);
    if (fits < 2)
        tile_wide(a, stride, rows, panel, K, vectors, out);
    else
        tile_small(a, stride, rows, panel, K, vectors, fits >= 4, out);
}

/* All instructions of 64 products, on 12 independent sums. */
static double peak(int64_t repeats) {
    enum { SUMS = 12 };
    __m256i sums[SUMS], codes = _mm256_set1_epi8(1), weights = _mm256_set1_epi8(-1);
    const __m256i ones = _mm256_set1_epi16(1);
    UNROLL for (int i = 0; i < SUMS; i++) sums[i] = _mm256_set1_epi32(i);
    for (int64_t n = 0; n < repeats; n++) {
        UNROLL for (int i = 0; i < SUMS; i++) {
            __m256i first = _mm256_maddubs_epi16(codes, weights), second;
            __asm__ volatile("" : "+x"(codes), "+x"(weights)); /* or the compiler would multiply once */
            second = _mm256_maddubs_epi16(codes, weights);
            __asm__ volatile("" : "+x"(codes), "+x"(weights));
            sums[i] = plus(sums[i], _mm256_madd_epi16(_mm256_add_epi16(first, second), ones));
        }
    }
    UNROLL for (int i = 0; i < SUMS; i++) __asm__ volatile("" : : "x"(sums[i]));
    return 2.0 * 64 * SUMS * (double)repeats;
}

const tq_isa tq_isa_avx2 = {
    .name = "avx2", .rows = ROWS, .group = 4, .offset = 0, .supported = supported,
    .begin = nothing, .end = nothing, .tile = tile, .peak = peak,
    .differences_bytes = differences_bytes, .find_differences = find_differences,
    .tile_of_differences = tile_of_differences, TQ_VECTOR_FUNCTIONS
};
