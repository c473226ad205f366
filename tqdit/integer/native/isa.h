/* isa.h - what one instruction set gives to the rest of the library.

   An instruction set is one C file, compiled with flags of its own, that ends in one table of functions. Whether the
   processor has the instructions is asked when the library is loaded; nothing else in the library knows of them. */
#ifndef TQDIT_ISA_H
#define TQDIT_ISA_H

#include <stddef.h>
#include <stdint.h>

#include "tqdit_native.h"

enum {
    TQ_PANEL = 64,  /* output channels in one packed panel of a weight */
    TQ_STEP = 64,   /* the input channels of a panel, and the bytes of a row of codes, are padded to a multiple */
    TQ_ROWS = 32,   /* the most rows that a tile can have */
    TQ_VECTOR = 16  /* channels that are switched off together where a panel is not full */
};

/* The next multiple of `step`. */
static inline int64_t padded(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

struct tq_finish; /* what follows a product; see product.h */

typedef struct tq_isa {
    const char *name;
    int rows;   /* rows of a full tile: 1 .. TQ_ROWS */
    int group;  /* 4 or 8: neighbouring input channels of one output channel lie side by side in a panel */
    int offset; /* the tile computes sum (a - offset) w: 0, or 128 where the instructions know signed bytes only */
    int (*supported)(void);

    /* What a thread does before its first tile and after its last one. */
    void (*begin)(void);
    void (*end)(void);

    /* out[r*TQ_PANEL + c] = sum over k < K of (a[r*stride + k] - offset) w[k][c], exactly, for r < rows and
       c < 16 vectors; K is a multiple of TQ_STEP. A panel is stored as int8 [K/group][TQ_PANEL][group].
       fits: so many products of the largest numbers fit into 16 bits together. What lies beyond `rows` and `vectors`
       in `out` may be overwritten; of `a`, only the K bytes of each of the `rows` rows are read. */
    void (*tile)(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int fits,
                 int32_t *out);

    /* Functions or NULL: products by what rows differ in, where that is faster than what `tile` does if fits < 2. Rows
       become differences once, in memory of so many bytes. Then they are multiplied with every panel: `out` is as after
       `tile`, or as before where 0 is returned, which says that the rows differ too much. `sums`: of the weights of each
       channel. */
    int64_t (*differences_bytes)(int64_t rows, int64_t K);
    void (*find_differences)(const uint8_t *a, int64_t stride, int rows, int64_t K, void *differences);
    int (*tile_of_differences)(void *differences, int rows, const int8_t *panel, const int32_t *sums, int64_t K,
                               int vectors, int32_t *out);

    /* Multiply registers with registers, and return how many operations that were: the processor's own limit. */
    double (*peak)(int64_t repeats);

    /* Elementwise work; the same text for every instruction set (vector.h), so the same bits. */
    int32_t (*quantize)(const float *x, int64_t n, float factor, const tq_grid *grid, uint8_t *codes);
    void (*finish)(const struct tq_finish *f, const int32_t *first, const int32_t *second, int64_t row, int rows,
                   int64_t column, int columns);
    void (*normalize)(const float *x, int64_t n, float eps, const float *shift, const float *scale, float *y);
    void (*scores)(const int32_t *sums, int64_t n, float factor, const int32_t *corrections, int32_t own, float *y);
    float (*softmax)(float *x, int64_t n);
    void (*digits)(const float *x, int64_t n, float inverse, int silu, uint8_t *high, uint8_t *low);
    void (*range)(const float *x, int64_t n, float *least, float *most);
    int32_t (*sum_of_codes)(const uint8_t *codes, int64_t n);
    void (*accumulate)(const uint8_t *codes, int64_t n, int32_t zero, int32_t weight, int32_t *sums);
    void (*keys_to_panel)(const uint8_t *codes, int64_t stride, int64_t columns, int64_t K, int group, int8_t *panel);
    void (*values_to_panel)(const uint8_t *codes, int64_t stride, int64_t columns, int64_t K, int group, int8_t *panel);
} tq_isa;

extern const tq_isa tq_isa_plain;

#endif
