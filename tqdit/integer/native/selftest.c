/* selftest.c - does an instruction set compute what plain C computes, to the last bit? It takes some 30 ms. */
#include <stdlib.h>
#include <string.h>

#include "library.h"

enum {
    KINDS = 8,         /* of numbers: see `code_of_kind` */
    ALIKE = 6,         /* the first kind whose rows are */
    DIFFERENT = 7,     /* rows of codes that differ; then they begin again */
    LONGEST = 4608,    /* input channels */
    STRIDE = LONGEST + 65, /* of rows of codes; the bytes in between must not count */
    OUT = TQ_ROWS * TQ_PANEL,
    GUARD = 256,       /* sums on either side of a tile that must stay as they are */
    UNTOUCHED = 0x5A5A5A5A,
    VALUES = 300,      /* longest row of floats */
    WHOLE = 304,       /* the same, in whole vectors */
};

static uint32_t next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* ---- tiles ---- */

typedef struct tile_test {
    uint8_t codes[TQ_ROWS * STRIDE];
    int8_t weights[LONGEST * TQ_PANEL];                       /* [k][c] */
    int8_t panel[LONGEST * TQ_PANEL], plain[LONGEST * TQ_PANEL]; /* the same, as the two instruction sets like it */
    int32_t expected[DIFFERENT * TQ_PANEL], out[GUARD + OUT + GUARD];
    int32_t sums[TQ_PANEL]; /* of weights */
    void *differences;      /* of rows, or NULL */
} tile_test;

/* The same for all rows. */
static int common_code(int k) { return (int)((uint32_t)k * 2654435761u >> 24); }

/* Kinds: random; the largest codes with the least weights; with the largest; with alternating ones; codes of 7 bits; codes
   and weights of 6 bits; rows that are alike, but one code of 256 is 128 off; such rows with alternating weights, where four
   products of differences come as close to the limit of 16 bits as they may. */
static uint8_t code_of_kind(int kind, int row, int k, uint32_t *state) {
    if (kind == 0) return (uint8_t)next(state);
    if (kind == 4) return next(state) % 128;
    if (kind == 5) return next(state) % 64;
    if (kind < ALIKE) return (uint8_t)(255 - row);
    if (next(state) % 256 == 0) return (uint8_t)(common_code(k) + 128);
    const int code = common_code(k) + (int)(next(state) % 79) - 39;
    return (uint8_t)(code < 0 ? 0 : code > 255 ? 255 : code);
}

/* How many products fit into 16 bits. */
static int fits_of_kind(int kind) { return kind == 4 ? 2 : kind == 5 ? 16 : 1; }

static int8_t weight_of_kind(int kind, int k, int c, uint32_t *state) {
    if (kind == 1) return -128;
    if (kind == 2) return 127;
    if (kind == 3) return (k + c) % 2 ? 127 : -128;
    if (kind == 7) return c % 2 ? 127 : -128;
    return (int8_t)(kind == 5 ? (int)(next(state) % 64) - 32 : (int)(next(state) % 256) - 128);
}

static void fill(tile_test *t, int kind, uint32_t *state) {
    for (int r = 0; r < DIFFERENT; r++)
        for (int k = 0; k < STRIDE; k++) t->codes[r * STRIDE + k] = code_of_kind(kind, r, k, state);
    for (int r = DIFFERENT; r < TQ_ROWS; r++)
        memcpy(t->codes + r * STRIDE, t->codes + r % DIFFERENT * STRIDE, STRIDE);
    for (int k = 0; k < LONGEST; k++)
        for (int c = 0; c < TQ_PANEL; c++) t->weights[k * TQ_PANEL + c] = weight_of_kind(kind, k, c, state);
}

static void pack(const int8_t *weights, int64_t K, int group, int8_t *panel) {
    for (int64_t k = 0; k < K; k++)
        for (int c = 0; c < TQ_PANEL; c++)
            panel[k / group * group * TQ_PANEL + c * group + k % group] = weights[k * TQ_PANEL + c];
}

/* Plain C's sums; an `offset` is taken off by a row of codes that consists of it. */
static void expect(tile_test *t, int64_t K, int offset) {
    uint8_t constant[LONGEST];
    int32_t less[TQ_PANEL];
    memset(constant, offset, sizeof constant);
    tq_isa_plain.tile(constant, 0, 1, t->plain, K, 4, 0, less);
    for (int r = 0; r < DIFFERENT; r++) {
        int32_t *row = t->expected + r * TQ_PANEL;
        tq_isa_plain.tile(t->codes + r * STRIDE, STRIDE, 1, t->plain, K, 4, 0, row);
        for (int c = 0; c < TQ_PANEL; c++) row[c] -= less[c];
    }
}

static int sums_differ(const tile_test *t, int rows, int vectors) {
    for (int r = 0; r < rows; r++)
        if (memcmp(t->out + GUARD + r * TQ_PANEL, t->expected + r % DIFFERENT * TQ_PANEL,
                   sizeof(int32_t) * TQ_VECTOR * vectors))
            return 1;
    return 0;
}

/* Rows that are alike must become differences. */
static const char *differences_differ(const tq_isa *isa, tile_test *t, int64_t K, int rows, int vectors, int kind) {
    isa->find_differences(t->codes, STRIDE, rows, K, t->differences);
    for (int c = 0; c < TQ_PANEL; c++) t->sums[c] = 0;
    for (int64_t i = 0; i < K * TQ_PANEL; i++) t->sums[i % TQ_PANEL] += t->weights[i];
    if (!isa->tile_of_differences(t->differences, rows, t->panel, t->sums, K, vectors, t->out + GUARD))
        return kind >= ALIKE ? "rows that are alike differ too much" : NULL;
    return sums_differ(t, rows, vectors) ? "products of differences differ" : NULL;
}

static const char *tile_differs(const tq_isa *isa, tile_test *t, int64_t K, int rows, int vectors, int kind) {
    int32_t *out = t->out + GUARD;
    for (int i = 0; i < GUARD + OUT + GUARD; i++) t->out[i] = UNTOUCHED;
    isa->tile(t->codes, STRIDE, rows, t->panel, K, vectors, fits_of_kind(kind), out);
    if (sums_differ(t, rows, vectors)) return fits_of_kind(kind) > 1 ? "products of small codes differ" : "products differ";
    const char *problem = t->differences ? differences_differ(isa, t, K, rows, vectors, kind) : NULL;
    if (problem) return problem;
    for (int i = 0; i < GUARD; i++)
        if (out[-1 - i] != UNTOUCHED || out[isa->rows * TQ_PANEL + i] != UNTOUCHED)
            return "a product writes beyond its tile";
    return NULL;
}

/* All numbers of rows and vectors; where that would take long, of full tiles only. */
static const char *tiles_differ(const tq_isa *isa, tile_test *t) {
    static const int64_t lengths[] = {64, 128, 256, 1152, LONGEST};
    const char *problem = NULL;
    uint32_t state = 1;
    for (int kind = 0; kind < KINDS; kind++) {
        fill(t, kind, &state);
        pack(t->weights, LONGEST, isa->group, t->panel);
        pack(t->weights, LONGEST, tq_isa_plain.group, t->plain);
        for (int i = 0; i < 5 && !problem; i++) {
            const int first = i > 2 && kind ? isa->rows : 1;
            expect(t, lengths[i], isa->offset);
            for (int rows = first; rows <= isa->rows && !problem; rows++)
                for (int vectors = i > 2 ? 4 : 1; vectors <= 4 && !problem; vectors++)
                    problem = tile_differs(isa, t, lengths[i], rows, vectors, kind);
        }
    }
    return problem;
}

/* ---- floats ---- */

typedef struct vector_results {
    float normalized[VALUES], modulated[VALUES], scores[WHOLE], probabilities[VALUES], inverse, least, most;
    uint8_t codes[VALUES], high[2][VALUES], low[2][VALUES];
} vector_results;

static void compute(const tq_isa *isa, const float *x, const int32_t *sums, int64_t n, vector_results *r) {
    const tq_grid grid = {.inverse = 20.0f, .zero = 128.0f, .lo = 0.0f, .hi = 255.0f};
    memset(r, 0, sizeof *r);
    isa->quantize(x, n, 0.75f, &grid, r->codes);
    isa->normalize(x, n, 1e-6f, NULL, NULL, r->normalized);
    isa->normalize(x, n, 1e-6f, x, x, r->modulated);
    isa->scores(sums, n, 0.01f, sums, 77, r->scores);
    memcpy(r->probabilities, x, sizeof(float) * (size_t)n);
    r->inverse = isa->softmax(r->probabilities, n);
    for (int silu = 0; silu < 2; silu++) isa->digits(x, n, 900.0f, silu, r->high[silu], r->low[silu]);
    isa->range(x, n, &r->least, &r->most);
}

static const char *first_difference(const vector_results *a, const vector_results *b) {
    if (memcmp(a->codes, b->codes, sizeof a->codes)) return "quantized codes differ";
    if (memcmp(a->normalized, b->normalized, sizeof a->normalized)) return "LayerNorm differs";
    if (memcmp(a->modulated, b->modulated, sizeof a->modulated)) return "modulated LayerNorm differs";
    if (memcmp(a->scores, b->scores, sizeof a->scores)) return "attention's scores differ";
    if (memcmp(a->probabilities, b->probabilities, sizeof a->probabilities) || a->inverse != b->inverse)
        return "softmax differs";
    if (memcmp(a->high, b->high, sizeof a->high)) return "high digits differ";
    if (memcmp(a->low, b->low, sizeof a->low)) return "low digits differ";
    return memcmp(&a->least, &b->least, 2 * sizeof(float)) ? "least or largest value differs" : NULL;
}

static const char *vectors_differ(const tq_isa *isa) {
    vector_results ours, plain;
    const char *problem = NULL;
    uint32_t state = 2;
    for (int n = 1; n <= VALUES && !problem; n++) {
        float x[VALUES];
        int32_t sums[WHOLE] = {0};
        for (int i = 0; i < n; i++) {
            x[i] = ((float)next(&state) / 8388608.0f - 1.0f) * (n % 3 ? 6.0f : 100.0f);
            sums[i] = (int32_t)(next(&state) - 8388608u);
        }
        compute(isa, x, sums, n, &ours);
        compute(&tq_isa_plain, x, sums, n, &plain);
        problem = first_difference(&ours, &plain);
    }
    return problem;
}

const char *tq_selftest(const tq_isa *isa) {
    tile_test *t = malloc(sizeof *t);
    if (!t) return "too little memory for the self-test";
    t->differences = isa->differences_bytes ? malloc((size_t)isa->differences_bytes(TQ_ROWS, LONGEST)) : NULL;
    isa->begin();
    const char *problem = tiles_differ(isa, t);
    isa->end();
    free(t->differences);
    free(t);
    return problem ? problem : vectors_differ(isa);
}
