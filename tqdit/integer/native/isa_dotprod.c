/* isa_dotprod.c - ARM's dot product: sdot multiplies signed bytes only, so codes are moved down by 128 (a ^ 128).

   A register is 16 bytes. One of weights is 4 channels by 4 inputs; one of codes is 16 inputs of one row, of which sdot
   takes 4 by number: in each of 4 lanes it adds four products to a sum of 32 bits.

   There are 32 registers. A block, 6 rows by 16 channels, keeps 24 of them as sums (6 rows x 4); 6 hold codes, and
   weights come one by one into what is left. A step of 16 inputs takes 6 + 16 loads for 96 sdot: 0.23 loads each, where
   1 would be affordable. A panel of 64 channels is swept in 4 such blocks. */
#include <arm_neon.h>

#include "arm.h"
#include "isa.h"
#include "vector.h"

enum {
    ROWS = 6,
    FOURS = 4,            /* registers across a vector of channels */
    BYTES = 4 * TQ_PANEL, /* of a panel: 4 inputs of all channels */
};

static int supported(void) { return has_dotprod(); }
static void nothing(void) {}

/* Inputs 4 lane .. 4 lane + 3 of the 16 in `codes`. */
ALWAYS_INLINE void step(const int8_t *panel, const int8x16_t codes[ROWS], const int rows, const int lane,
                        int32x4_t sums[ROWS][FOURS]) {
    UNROLL for (int v = 0; v < FOURS; v++) {
        const int8x16_t weights = vld1q_s8(panel + lane * BYTES + 16 * v);
        UNROLL for (int r = 0; r < rows; r++) {
            if (lane == 0) sums[r][v] = vdotq_laneq_s32(sums[r][v], weights, codes[r], 0);
            if (lane == 1) sums[r][v] = vdotq_laneq_s32(sums[r][v], weights, codes[r], 1);
            if (lane == 2) sums[r][v] = vdotq_laneq_s32(sums[r][v], weights, codes[r], 2);
            if (lane == 3) sums[r][v] = vdotq_laneq_s32(sums[r][v], weights, codes[r], 3);
        }
        KEEP_ORDER;
    }
}

ALWAYS_INLINE void block(const uint8_t *a, int64_t stride, const int8_t *panel, int64_t K, int32_t *out,
                         const int rows) {
    int32x4_t sums[ROWS][FOURS];
    UNROLL for (int i = 0; i < rows * FOURS; i++) sums[i / FOURS][i % FOURS] = vdupq_n_s32(0);
    for (int64_t k = 0; k < K; k += 16, panel += 4 * BYTES) {
        int8x16_t codes[ROWS];
        UNROLL for (int r = 0; r < rows; r++)
            codes[r] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(a + r * stride + k), vdupq_n_u8(128)));
        step(panel, codes, rows, 0, sums);
        step(panel, codes, rows, 1, sums);
        step(panel, codes, rows, 2, sums);
        step(panel, codes, rows, 3, sums);
    }
    UNROLL for (int i = 0; i < rows * FOURS; i++)
        vst1q_s32(out + i / FOURS * TQ_PANEL + i % FOURS * 4, sums[i / FOURS][i % FOURS]);
}

static void tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int fits,
                 int32_t *out) {
    (void)fits; /* sdot adds in 32 bits: nothing saturates */
    for (int v = 0; v < vectors; v++, panel += 4 * TQ_VECTOR, out += TQ_VECTOR) {
        switch (rows) {
            case 1: block(a, stride, panel, K, out, 1); break;
            case 2: block(a, stride, panel, K, out, 2); break;
            case 3: block(a, stride, panel, K, out, 3); break;
            case 4: block(a, stride, panel, K, out, 4); break;
            case 5: block(a, stride, panel, K, out, 5); break;
            default: block(a, stride, panel, K, out, 6);
        }
    }
}

/* 24 independent sums, as in a block. */
static double peak(int64_t repeats) {
    enum { SUMS = 24 };
    int8x16_t codes = vdupq_n_s8(1), weights = vdupq_n_s8(-1);
    int32x4_t sums[SUMS];
    UNROLL for (int i = 0; i < SUMS; i++) sums[i] = vdupq_n_s32(i);
    for (int64_t n = 0; n < repeats; n++) {
        __asm__ volatile("" : "+w"(codes), "+w"(weights)); /* or the compiler would multiply once */
        UNROLL for (int i = 0; i < SUMS; i++) sums[i] = vdotq_laneq_s32(sums[i], weights, codes, 0);
    }
    UNROLL for (int i = 0; i < SUMS; i++) __asm__ volatile("" : : "w"(sums[i]));
    return 2.0 * 16 * SUMS * (double)repeats;
}

const tq_isa tq_isa_dotprod = {
    .name = "dotprod", .rows = ROWS, .group = 4, .offset = 128, .supported = supported,
    .begin = nothing, .end = nothing, .tile = tile, .peak = peak, TQ_VECTOR_FUNCTIONS
};
