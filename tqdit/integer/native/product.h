/* product.h - a packed weight, and what is done with the sums of a product before they leave the registers' neighbourhood. */
#ifndef TQDIT_PRODUCT_H
#define TQDIT_PRODUCT_H

#include "isa.h"
#include "pages.h"

enum { TQ_STORE, TQ_GATE, TQ_CODES }; /* the last step of an epilogue */

/* A weight: panels of TQ_PANEL output channels, each int8 [K/group][TQ_PANEL][group], zeros where it is padded. */
struct tq_weight {
    int64_t out, in, K; /* channels; K: `in`, padded to a multiple of TQ_STEP */
    int group;          /* as the instruction set likes it */
    int largest;        /* largest |code| */
    int8_t *panels;     /* begin at a cache line ... */
    tq_block *block;    /* ... of this memory */
    int32_t *sums; /* sum of the codes of each output channel */
};

/* The epilogue of a product, for all rows and columns. */
typedef struct tq_finish {
    int kind, regions, digits, gelu;
    const int32_t *weight_sums;
    const float *scale; /* s_w of each output channel */
    const float *bias;  /* or NULL */
    float factor[2];    /* s of each region, ... */
    int32_t zero[2];    /* and its zero-point */
    int offset;         /* of the instruction set's tiles */
    const float *row_factor[2];  /* or one for each row, or NULL; a factor stands ... */
    const int32_t *row_zero[2];  /* ... beside a zero-point */
    int64_t row_period;          /* rows after which the factors begin again */
    const float *addend;         /* added before GELU, or NULL */
    int64_t addend_stride;
    float *out; /* of TQ_STORE, and the residual of TQ_GATE */
    int64_t out_stride;
    const float *gate; /* one row of gates for `gate_rows` rows */
    int64_t gate_stride, gate_rows;
    const tq_segment *segments;
    int64_t segment_count;
    uint8_t *codes[2];
    int64_t codes_stride;
} tq_finish;

static inline float tq_row_factor(const tq_finish *f, int region, int64_t row) {
    return f->row_factor[region] ? f->row_factor[region][row % f->row_period] : f->factor[region];
}

static inline int32_t tq_row_zero(const tq_finish *f, int region, int64_t row) {
    return (f->row_zero[region] ? f->row_zero[region][row % f->row_period] : f->zero[region]) - f->offset;
}

/* A product of codes with a weight. */
typedef struct tq_product {
    const tq_weight *weight;
    const uint8_t *codes[2]; /* of each region, rows of K bytes */
    int64_t stride, rows;    /* bytes from row to row */
    int fits[2];             /* so many products fit into 16 bits */
    tq_finish finish;
} tq_product;

/* How many products of codes up to `code` with weights up to `weight` fit into 16 bits. */
static inline int tq_fits(int code, int weight) {
    const int product = code * weight;
    return INT16_MAX / (product > 0 ? product : 1);
}

/* Call it between tq_enter and tq_leave. */
void tq_multiply(const tq_isa *isa, const tq_product *p);

#endif
