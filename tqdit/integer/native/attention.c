/* attention.c - softmax(q k^T) v on codes, for a few queries at a time.

   Keys and values of a head become panels first, as if they were weights. Then a tile of queries is taken through all
   steps while it is in the cache: products with all keys, softmax, codes of the probabilities, products with the values.

   Probabilities may have two regions, q = low + ratio high, where one of the two is zero. A row has few high codes, because
   probabilities add up to one. So the low codes are multiplied densely, and the high ones one by one. */
#include "attention.h"

#include <string.h>

#include "library.h"
#include "product.h"
#include "threads.h"

enum { QUERIES = 48 }; /* of a unit */

typedef struct plan {
    const tq_attention *a;
    const tq_isa *isa;
    int64_t keys, width;         /* padded */
    int64_t pieces;              /* units of a head */
    int fits;                    /* so many products of a probability and a value fit into 16 bits */
    int8_t *key_panels, *value_panels;
    int32_t *key_sums, *value_sums;
} plan;

/* ---- panels of keys and values ---- */

static const uint8_t *head_of(const tq_attention *a, const tq_heads *x, int64_t image, int64_t head) {
    return x->codes + image * x->tokens * x->stride + head * a->width;
}

static void pack_keys(const plan *j, int64_t unit) {
    const tq_attention *a = j->a;
    const uint8_t *codes = head_of(a, &a->k, unit / a->heads, unit % a->heads);
    int8_t *panels = j->key_panels + unit * j->keys * j->width;
    memset(panels, 0, (size_t)(j->keys * j->width));
    for (int64_t t = 0; t < a->k.tokens; t += TQ_PANEL) {
        const int64_t columns = a->k.tokens - t < TQ_PANEL ? a->k.tokens - t : TQ_PANEL;
        j->isa->keys_to_panel(codes + t * a->k.stride, a->k.stride, columns, a->width, j->isa->group,
                              panels + t * j->width);
    }
    for (int64_t t = 0; t < a->k.tokens; t++) {
        const int32_t sum = j->isa->sum_of_codes(codes + t * a->k.stride, a->width) - 128 * (int32_t)a->width;
        j->key_sums[unit * j->keys + t] = (a->q.zero - j->isa->offset) * sum;
    }
}

static void pack_values(const plan *j, int64_t unit) {
    const tq_attention *a = j->a;
    const uint8_t *codes = head_of(a, &a->v, unit / a->heads, unit % a->heads);
    int8_t *panels = j->value_panels + unit * j->keys * j->width;
    const int32_t zero = (a->stacked ? 0 : (int32_t)a->probability.zero) - j->isa->offset;
    int32_t *sums = j->value_sums + unit * j->width;
    memset(panels, 0, (size_t)(j->keys * j->width));
    memset(sums, 0, sizeof *sums * (size_t)j->width);
    for (int64_t c = 0; c < a->width; c += TQ_PANEL) {
        const int64_t columns = a->width - c < TQ_PANEL ? a->width - c : TQ_PANEL;
        j->isa->values_to_panel(codes + c, a->v.stride, columns, a->v.tokens, j->isa->group, panels + c * j->keys);
    }
    for (int64_t t = 0; t < a->v.tokens; t++) j->isa->accumulate(codes + t * a->v.stride, a->width, 128, zero, sums);
}

static void pack_unit(const void *job, int64_t unit, int thread) {
    (void)thread;
    pack_keys(job, unit);
    pack_values(job, unit);
}

/* ---- a tile of queries ---- */

/* What a thread works with: sums and scores of one tile, and the codes of its probabilities. */
typedef struct bench {
    int32_t *sums;   /* (panels, TQ_ROWS, TQ_PANEL) */
    float *row;      /* (keys,) */
    uint8_t *codes;  /* (TQ_ROWS, keys) */
    int32_t *totals; /* (TQ_ROWS,): sum of a row's codes, zero-points taken off */
    int32_t *high;   /* (TQ_ROWS, keys + 1, 2): position and weight of each high code; -1 ends them */
} bench;

static bench of_thread(const plan *j, int thread) {
    bench b;
    b.sums = tq_memory(1 + thread, 0);
    b.row = (float *)(b.sums + TQ_ROWS * j->keys);
    b.high = (int32_t *)(b.row + j->keys);
    b.totals = b.high + 2 * TQ_ROWS * (j->keys + 1);
    b.codes = (uint8_t *)(b.totals + TQ_ROWS);
    return b;
}

static size_t bench_bytes(const plan *j) {
    return sizeof(int32_t) * (size_t)((TQ_ROWS + 1) * j->keys + 2 * TQ_ROWS * (j->keys + 1) + TQ_ROWS)
        + (size_t)(TQ_ROWS * j->keys);
}

/* Take the high codes out of a row: where a low code reached the border, it becomes 0, and an entry of the list. Returns
   how many there were. */
static int32_t take_high(const tq_attention *a, const float *e, float inverse, uint8_t *codes, int32_t *list) {
    const uint8_t *end = codes + a->k.tokens;
    int32_t count = 0;
    for (uint8_t *c = codes; c < end && (c = memchr(c, a->border, (size_t)(end - c))); c++, count++) {
        const float magic = 12582912.0f, p = e[c - codes] * inverse; /* magic rounds, as in lanes.h */
        const int32_t q = (int32_t)((p * a->high_inverse + magic) - magic);
        *list++ = (int32_t)(c - codes);
        *list++ = a->ratio * (q < 1 ? 1 : q > a->highest ? a->highest : q);
        *c = 0;
    }
    *list = -1;
    return count;
}

static void probabilities(const plan *j, const bench *b, const uint8_t *q, int64_t unit, int rows) {
    const tq_attention *a = j->a;
    for (int r = 0; r < rows; r++) {
        const int32_t sum = j->isa->sum_of_codes(q + r * a->q.stride, a->width) - (int32_t)a->width * a->q.zero;
        for (int64_t t = 0; t < a->k.tokens; t += TQ_PANEL)
            j->isa->scores(b->sums + t * TQ_ROWS + r * TQ_PANEL, a->k.tokens - t < TQ_PANEL ? a->k.tokens - t : TQ_PANEL,
                           a->score_factor, j->key_sums + unit * j->keys + t, (a->k.zero - 128) * sum, b->row + t);
        const float inverse = j->isa->softmax(b->row, a->k.tokens);
        uint8_t *codes = b->codes + r * j->keys;
        int32_t *list = b->high + 2 * r * (j->keys + 1);
        b->totals[r] = j->isa->quantize(b->row, a->k.tokens, inverse, &a->probability, codes);
        *list = -1;
        if (a->stacked) b->totals[r] -= a->border * take_high(a, b->row, inverse, codes, list);
    }
}

/* One row of one panel of the output. */
static void finish_row(const plan *j, const bench *b, int64_t unit, int64_t token, int r, int64_t column, int columns,
                       int32_t *sums) {
    const tq_attention *a = j->a;
    const int64_t image = unit / a->heads, head = unit % a->heads;
    const uint8_t *v = head_of(a, &a->v, image, head) + column;
    for (const int32_t *high = b->high + 2 * r * (j->keys + 1); *high >= 0; high += 2)
        j->isa->accumulate(v + high[0] * a->v.stride, columns, a->v.zero, high[1], sums);
    const int64_t place = (image * a->q.tokens + token + r) * a->stride + head * a->width + column;
    float y[TQ_PANEL];
    j->isa->scores(sums, columns, a->value_factor, j->value_sums + unit * j->width + column,
                   (a->v.zero - 128) * b->totals[r], y);
    if (a->codes)
        j->isa->quantize(y, columns, 1, &a->grid, a->codes + place);
    else
        memcpy(a->floats + place, y, sizeof(float) * (size_t)columns);
}

static void attend_tile(const plan *j, const bench *b, int64_t unit, int64_t token, int rows) {
    const tq_attention *a = j->a;
    const uint8_t *q = head_of(a, &a->q, unit / a->heads, unit % a->heads) + token * a->q.stride;
    const int64_t panels = unit * j->keys * j->width;
    for (int64_t t = 0; t < a->k.tokens; t += TQ_PANEL) {
        const int64_t columns = a->k.tokens - t < TQ_PANEL ? a->k.tokens - t : TQ_PANEL;
        j->isa->tile(q, a->q.stride, rows, j->key_panels + panels + t * j->width, j->width,
                     (int)((columns + TQ_VECTOR - 1) / TQ_VECTOR), 1, b->sums + t * TQ_ROWS);
    }
    probabilities(j, b, q, unit, rows);
    for (int64_t c = 0; c < a->width; c += TQ_PANEL) {
        const int columns = a->width - c < TQ_PANEL ? (int)(a->width - c) : TQ_PANEL;
        j->isa->tile(b->codes, j->keys, rows, j->value_panels + panels + c * j->keys, j->keys,
                     (columns + TQ_VECTOR - 1) / TQ_VECTOR, j->fits, b->sums);
        for (int r = 0; r < rows; r++) finish_row(j, b, unit, token, r, c, columns, b->sums + r * TQ_PANEL);
    }
}

static void attend_unit(const void *job, int64_t unit, int thread) {
    const plan *j = job;
    const bench b = of_thread(j, thread);
    const int64_t heads = j->a->heads, image = unit / (heads * j->pieces);
    const int64_t head = image * heads + unit % heads, start = unit / heads % j->pieces * QUERIES;
    const int64_t end = start + QUERIES < j->a->q.tokens ? start + QUERIES : j->a->q.tokens;
    for (int64_t token = start; token < end; token += j->isa->rows)
        attend_tile(j, &b, head, token, end - token < j->isa->rows ? (int)(end - token) : j->isa->rows);
}

int tq_attend(const tq_isa *isa, const tq_attention *a) {
    const int64_t heads = a->images * a->heads;
    plan j = {.a = a, .isa = isa, .keys = padded(a->k.tokens, TQ_PANEL), .width = padded(a->width, TQ_PANEL)};
    j.pieces = (a->q.tokens + QUERIES - 1) / QUERIES;
    j.fits = tq_fits(a->stacked ? a->border - 1 : (int)a->probability.hi, 128);
    const size_t panels = (size_t)(heads * j.keys * j.width), sums = sizeof(int32_t) * (size_t)heads;
    char *memory = tq_memory(1 + TQ_MOST_THREADS, 2 * panels + sums * (size_t)(j.keys + j.width));
    if (!memory) return tq_fail("not enough memory for attention");
    for (int thread = 0; thread < tq_threads(); thread++)
        if (!tq_memory(1 + thread, bench_bytes(&j))) return tq_fail("not enough memory for attention");
    j.key_panels = (int8_t *)memory;
    j.value_panels = j.key_panels + panels;
    j.key_sums = (int32_t *)(j.value_panels + panels);
    j.value_sums = j.key_sums + heads * j.keys;
    tq_parallel(pack_unit, &j, heads);
    tq_parallel(attend_unit, &j, heads * j.pieces);
    return 0;
}
