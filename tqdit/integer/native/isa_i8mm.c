/* isa_i8mm.c - ARM's matrix product of bytes: usmmla multiplies u8 codes with s8 weights, 2 x 8 by 8 x 2.

   A register of codes is two rows by 8 inputs, one of weights two channels by 8 inputs (so a panel keeps 8 neighbours
   together), and one of sums two rows by two channels: 32 multiply-adds, twice as many as a dot product does.

   A block, 3 pairs of rows by 16 channels, keeps 24 of the 32 registers as sums (3 pairs x 8 pairs of channels); 3 hold
   codes, and weights come one by one into what is left. A step of 8 inputs takes 6 + 8 loads for 24 usmmla: 0.58 loads
   each, where 1 would be affordable. An odd last row is paired with itself. */
#include <arm_neon.h>

#include "arm.h"
#include "isa.h"
#include "vector.h"

enum {
    ROWS = 6,
    PAIRS = 3,             /* of rows */
    TWOS = 8,              /* pairs of channels across a vector */
    BYTES = 8 * TQ_PANEL,  /* of a panel: 8 inputs of all channels */
};

static int supported(void) { return has_dotprod() && has_i8mm(); }
static void nothing(void) {}

/* sums[p][v] = rows 2p and 2p + 1 by channels 2v and 2v + 1; row r + 1 of the last pair is `last` rows below row 0. */
ALWAYS_INLINE void multiply(const uint8_t *a, int64_t stride, int last, const int8_t *panel, int64_t K,
                            const int pairs, int32x4_t sums[PAIRS][TWOS]) {
    for (int64_t k = 0; k < K; k += 8, panel += BYTES) {
        uint8x16_t codes[PAIRS];
        UNROLL for (int p = 0; p < pairs; p++) {
            const int second = p == pairs - 1 ? last : 2 * p + 1;
            codes[p] = vcombine_u8(vld1_u8(a + 2 * p * stride + k), vld1_u8(a + second * stride + k));
        }
        UNROLL for (int v = 0; v < TWOS; v++) {
            const int8x16_t weights = vld1q_s8(panel + 16 * v);
            UNROLL for (int p = 0; p < pairs; p++) sums[p][v] = vusmmlaq_s32(sums[p][v], codes[p], weights);
            KEEP_ORDER;
        }
    }
}

ALWAYS_INLINE void block(const uint8_t *a, int64_t stride, int last, const int8_t *panel, int64_t K, int32_t *out,
                         const int pairs) {
    int32x4_t sums[PAIRS][TWOS];
    UNROLL for (int i = 0; i < pairs * TWOS; i++) sums[i / TWOS][i % TWOS] = vdupq_n_s32(0);
    multiply(a, stride, last, panel, K, pairs, sums);
    UNROLL for (int i = 0; i < pairs * TWOS; i += 2) { /* two pairs of channels at a time */
        int32_t *first = out + i / TWOS * 2 * TQ_PANEL + i % TWOS * 2;
        const int64x2_t left = vreinterpretq_s64_s32(sums[i / TWOS][i % TWOS]);
        const int64x2_t right = vreinterpretq_s64_s32(sums[i / TWOS][i % TWOS + 1]);
        vst1q_s32(first, vreinterpretq_s32_s64(vzip1q_s64(left, right)));
        vst1q_s32(first + TQ_PANEL, vreinterpretq_s32_s64(vzip2q_s64(left, right)));
    }
}

static void tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int fits,
                 int32_t *out) {
    (void)fits; /* usmmla adds in 32 bits: nothing saturates */
    for (int v = 0; v < vectors; v++, panel += 8 * TQ_VECTOR, out += TQ_VECTOR) {
        if (rows <= 2) block(a, stride, rows - 1, panel, K, out, 1);
        else if (rows <= 4) block(a, stride, rows - 1, panel, K, out, 2);
        else block(a, stride, rows - 1, panel, K, out, 3);
    }
}

/* 24 independent sums, as in a block. */
static double peak(int64_t repeats) {
    enum { SUMS = 24 };
    uint8x16_t codes = vdupq_n_u8(1);
    int8x16_t weights = vdupq_n_s8(-1);
    int32x4_t sums[SUMS];
    UNROLL for (int i = 0; i < SUMS; i++) sums[i] = vdupq_n_s32(i);
    for (int64_t n = 0; n < repeats; n++) {
        __asm__ volatile("" : "+w"(codes), "+w"(weights)); /* or the compiler would multiply once */
        UNROLL for (int i = 0; i < SUMS; i++) sums[i] = vusmmlaq_s32(sums[i], codes, weights);
    }
    UNROLL for (int i = 0; i < SUMS; i++) __asm__ volatile("" : : "w"(sums[i]));
    return 2.0 * 32 * SUMS * (double)repeats;
}

const tq_isa tq_isa_i8mm = {
    .name = "i8mm", .rows = ROWS, .group = 8, .offset = 0, .supported = supported,
    .begin = nothing, .end = nothing, .tile = tile, .peak = peak, TQ_VECTOR_FUNCTIONS
};
