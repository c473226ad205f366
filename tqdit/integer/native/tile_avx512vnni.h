/* tile_avx512vnni.h - products with AVX512-VNNI, for isa_avx512vnni.c and for the few rows of isa_amx.c.

   vpdpbusd has 16 lanes of 32 bits. In each it multiplies 4 u8 codes with 4 s8 weights and adds all four products to a
   sum. One register of weights is 16 channels, 4 inputs each; one register of codes is 4 inputs of one row, 16 times.

   A full block, 6 rows by 64 channels, keeps 24 of the 32 registers as sums (6 rows x 4 vectors), 4 hold weights and 1
   holds codes. A step of 4 inputs takes 4 + 6 loads for 24 vpdpbusd: 0.42 loads each, where 1 would be affordable.

   A vpdpbusd takes 5 cycles and two can start in each, so 10 sums must be under way. Blocks with fewer rows or vectors
   split their inputs into 2 or 4 chains with sums of their own, which are added at the end.

   A tile has up to 24 rows, so that what follows a product is prepared once for all of them. It is cut into blocks of
   nearly the same height, 8 rows into 4 and 4 and not into 6 and 2: low blocks load more than they multiply. */
#ifndef TQDIT_TILE_AVX512VNNI_H
#define TQDIT_TILE_AVX512VNNI_H

#include <immintrin.h>
#include <string.h>

#include "isa.h"
#include "x86.h"

enum {
    VNNI_ROWS = 6,             /* of a block */
    VNNI_VECTORS = 4,
    VNNI_TILE = 24,            /* rows of a tile */
    VNNI_BYTES = 4 * TQ_PANEL, /* one step of a panel: 4 inputs of all channels */
    VNNI_AHEAD = 4096,         /* bytes between what is multiplied and what is fetched from memory */
};

typedef __m512i vnni_sums[VNNI_ROWS][VNNI_VECTORS];

ALWAYS_INLINE __m512i four_codes(const uint8_t *a) {
    int32_t codes;
    memcpy(&codes, a, sizeof codes);
    return _mm512_set1_epi32(codes);
}

/* sums[r][v] += the products of 4 inputs. */
ALWAYS_INLINE void vnni_step(const uint8_t *a, int64_t stride, const int8_t *panel, const int rows, const int vectors,
                             vnni_sums sums) {
    __m512i weights[VNNI_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        _mm_prefetch((const char *)panel + VNNI_AHEAD + 64 * v, _MM_HINT_T0);
        weights[v] = _mm512_loadu_si512(panel + 64 * v);
    }
    UNROLL for (int r = 0; r < rows; r++) {
        const __m512i codes = four_codes(a + r * stride);
        UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], codes, weights[v]);
    }
}

ALWAYS_INLINE void vnni_block(const uint8_t *a, int64_t stride, const int8_t *panel, int64_t K, int32_t *out,
                              const int rows, const int vectors) {
    const int chains = rows * vectors >= 10 ? 1 : rows * vectors >= 5 ? 2 : 4;
    vnni_sums sums[4];
    UNROLL for (int i = 0; i < chains * rows * vectors; i++)
        sums[i / vectors / rows][i / vectors % rows][i % vectors] = _mm512_setzero_si512();
    for (int64_t k = 0; k < K; k += 4 * chains) {
        UNROLL for (int i = 0; i < chains; i++)
            vnni_step(a + k + 4 * i, stride, panel + (k / 4 + i) * VNNI_BYTES, rows, vectors, sums[i]);
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            __m512i sum = sums[0][r][v];
            UNROLL for (int i = 1; i < chains; i++) sum = _mm512_add_epi32(sum, sums[i][r][v]);
            _mm512_storeu_si512(out + r * TQ_PANEL + TQ_VECTOR * v, sum);
        }
    }
}

/* One function for each number of rows and of vectors: vnni_1x1 .. vnni_6x4. */
#define VNNI_BLOCK(R, V) \
    static void vnni_##R##x##V(const uint8_t *a, int64_t stride, const int8_t *panel, int64_t K, int32_t *out) { \
        vnni_block(a, stride, panel, K, out, R, V); \
    }
#define VNNI_BLOCKS(R) VNNI_BLOCK(R, 1) VNNI_BLOCK(R, 2) VNNI_BLOCK(R, 3) VNNI_BLOCK(R, 4)
#define VNNI_NAMES(R) {vnni_##R##x1, vnni_##R##x2, vnni_##R##x3, vnni_##R##x4}
VNNI_BLOCKS(1) VNNI_BLOCKS(2) VNNI_BLOCKS(3) VNNI_BLOCKS(4) VNNI_BLOCKS(5) VNNI_BLOCKS(6)

static void vnni_tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors,
                      int32_t *out) {
    typedef void (*function)(const uint8_t *a, int64_t stride, const int8_t *panel, int64_t K, int32_t *out);
    static const function blocks[VNNI_ROWS][VNNI_VECTORS] = {
        VNNI_NAMES(1), VNNI_NAMES(2), VNNI_NAMES(3), VNNI_NAMES(4), VNNI_NAMES(5), VNNI_NAMES(6)};
    int to_do = (rows + VNNI_ROWS - 1) / VNNI_ROWS; /* blocks */
    for (int done = 0, height; done < rows; done += height, to_do--) {
        height = (rows - done + to_do - 1) / to_do;
        blocks[height - 1][vectors - 1](a + done * stride, stride, panel, K, out + done * TQ_PANEL);
    }
}

#endif
