/* isa_plain.c - C without any special instruction: what every processor can do, and what the others are compared with. */
#include "isa.h"
#include "vector.h"

enum { ROWS = 4 };

static int supported(void) { return 1; }
static void nothing(void) {}

static void tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int fits,
                 int32_t *out) {
    (void)fits;
    for (int r = 0; r < rows; r++) {
        int32_t sums[TQ_PANEL] = {0};
        for (int64_t k = 0; k < K; k++) {
            const int8_t *w = panel + (k / 4) * 4 * TQ_PANEL + k % 4;
            const int32_t code = a[r * stride + k];
            for (int c = 0; c < TQ_VECTOR * vectors; c++) sums[c] += code * w[4 * c];
        }
        for (int c = 0; c < TQ_VECTOR * vectors; c++) out[r * TQ_PANEL + c] = sums[c];
    }
}

/* Products from the first-level cache: plain C has no registers to speak of. The tile is called by its address, or the
   compiler would see that all codes are zeros and leave the products out. */
static double peak(int64_t repeats) {
    static const uint8_t codes[ROWS * TQ_STEP];
    static const int8_t panel[TQ_STEP * TQ_PANEL];
    int32_t out[ROWS * TQ_PANEL];
    void (*volatile product)(const uint8_t *, int64_t, int, const int8_t *, int64_t, int, int, int32_t *) = tile;
    for (int64_t i = 0; i < repeats; i++) product(codes, TQ_STEP, ROWS, panel, TQ_STEP, 4, 2, out);
    return 2.0 * ROWS * TQ_STEP * TQ_PANEL * (double)repeats;
}

const tq_isa tq_isa_plain = {
    .name = "plain", .rows = ROWS, .group = 4, .offset = 0, .supported = supported,
    .begin = nothing, .end = nothing, .tile = tile, .peak = peak, TQ_VECTOR_FUNCTIONS
};
