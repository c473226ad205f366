/* attention.h - softmax(q k^T) v on codes. */
#ifndef TQDIT_ATTENTION_H
#define TQDIT_ATTENTION_H

#include "isa.h"

/* Queries, keys or values of all heads: image i, token t, head h begin at codes + (i tokens + t) stride + h width. */
typedef struct tq_heads {
    const uint8_t *codes;
    int64_t stride, tokens;
    int32_t zero;
} tq_heads;

typedef struct tq_attention {
    int64_t images, heads, width;
    tq_heads q, k, v;
    float score_factor;  /* s_q s_k */
    tq_grid probability; /* the lower region's, where there are two */
    int32_t stacked, border, highest, ratio; /* two regions: q = low + ratio high, from code `border` on */
    float high_inverse;
    float value_factor; /* s_p s_v */
    tq_grid grid;       /* of the output's codes */
    uint8_t *codes;     /* the output: either codes ... */
    float *floats;      /* ... or floats */
    int64_t stride;     /* of either, in elements */
} tq_attention;

/* Call it between tq_enter and tq_leave. Returns -1 where there is not enough memory. */
int tq_attend(const tq_isa *isa, const tq_attention *a);

#endif
