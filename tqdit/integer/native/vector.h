/* vector.h - work on rows of floats and codes, included by the file of every instruction set.

   The text is the same for all of them, and so are the bits: lanes.h rounds as IEEE says, a product and a sum are only
   fused where `fused` says so, and sums are added up in LANES columns that are summed in one order at the end. */
#ifndef TQDIT_VECTOR_H
#define TQDIT_VECTOR_H

#include "isa.h"
#include "lanes.h"
#include "product.h"

/* ---- codes ---- */

/* A grid whose limits count from the zero-point. */
typedef struct grid_lanes { lanes inverse, lo, hi; int zero; } grid_lanes;

INLINE grid_lanes lanes_of(const tq_grid *g) {
    return (grid_lanes){all(g->inverse), all(g->lo - g->zero), all(g->hi - g->zero), (int)g->zero};
}

/* round(clip(x/s, lo - z, hi - z)), plus MAGIC: the code without its zero-point stands in the lowest byte. Limits are
   whole, so it does not matter that they come first. NaN becomes lo. */
INLINE lanes code(lanes x, const grid_lanes *g) {
    return add(smaller(larger(mul(x, g->inverse), g->lo), g->hi), all(MAGIC));
}

/* Codes of x factor. Returns the sum of all codes, their zero-points taken off. */
static int32_t quantize(const float *x, int64_t n, float factor, const tq_grid *grid, uint8_t *codes) {
    const grid_lanes g = lanes_of(grid);
    lanes sum = all(0);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const lanes q = code(mul(load_lanes(x + i), all(factor)), &g);
        store_low_bytes(codes + i, q, g.zero);
        sum = add(sum, sub(q, all(MAGIC)));
    }
    int32_t total = (int32_t)sum_of_lanes(sum);
    if (i < n) {
        store_low_bytes_up_to(codes + i, code(mul(load_some(x + i, n - i, 0), all(factor)), &g), g.zero, n - i);
        for (; i < n; i++) total += codes[i] - g.zero;
    }
    return total;
}

INLINE lanes silu(lanes x) {
    lanes d = add(all(1), exponential(sub(all(0), x)));
    inverses(&d, 1);
    return mul(x, d);
}

/* Two digits to the base 128 of a 14-bit code: q = 128 high + low, low and high in -64 .. 63, both moved up by 64. */
static void digits(const float *x, int64_t n, float inverse, int with_silu, uint8_t *high, uint8_t *low) {
    for (int64_t i = 0; i < n; i += LANES) {
        const lanes v = load_up_to(x + i, n - i, 0);
        const lanes scaled = mul(with_silu ? silu(v) : v, all(inverse));
        const lanes q = nearest(smaller(larger(scaled, all(-8127)), all(8127)));
        const lanes h = nearest(mul(add(q, all(0.5f)), all(1.0f / 128))); /* floor((q + 64)/128): never half way */
        store_low_bytes_up_to(high + i, add(h, all(MAGIC)), 64, n - i);
        store_low_bytes_up_to(low + i, add(fused(h, all(-128), q), all(MAGIC)), 64, n - i);
    }
}

/* The least and the largest of n numbers, and zero. */
static void range(const float *x, int64_t n, float *least, float *most) {
    lanes lo = all(0), hi = all(0);
    for (int64_t i = 0; i < n; i += LANES) {
        const lanes v = load_up_to(x + i, n - i, 0);
        lo = smaller(v, lo);
        hi = larger(v, hi);
    }
    *least = -largest_of_lanes(sub(all(0), lo));
    *most = largest_of_lanes(hi);
}

/* ---- LayerNorm with modulation ---- */

INLINE float sum_of(const float *x, int64_t n) {
    lanes sum = all(0);
    for (int64_t i = 0; i < n; i += LANES) sum = add(sum, load_up_to(x + i, n - i, 0));
    return sum_of_lanes(sum);
}

INLINE float squares_around(const float *x, int64_t n, float center) {
    lanes sum = all(0);
    for (int64_t i = 0; i < n; i += LANES) {
        const lanes d = sub(load_up_to(x + i, n - i, center), all(center));
        sum = add(sum, mul(d, d));
    }
    return sum_of_lanes(sum);
}

/* y = (x - mean)/sqrt(variance + eps) (1 + scale) + shift, over one row. Without scale and shift, those are left out. */
static void normalize(const float *x, int64_t n, float eps, const float *shift, const float *scale, float *y) {
    const float mean = sum_of(x, n) / (float)n;
    const float inverse = 1.0f / sqrtf(squares_around(x, n, mean) / (float)n + eps);
    for (int64_t i = 0; i < n; i += LANES) {
        lanes v = mul(sub(load_up_to(x + i, n - i, 0), all(mean)), all(inverse));
        if (shift) v = fused(v, add(all(1), load_up_to(scale + i, n - i, 0)), load_up_to(shift + i, n - i, 0));
        store_up_to(y + i, v, n - i);
    }
}

/* ---- attention ---- */

/* y = (sums - corrections - own) factor: sums of centred codes from sums of bytes. Whole vectors are read and written. */
static void scores(const int32_t *sums, int64_t n, float factor, const int32_t *corrections, int32_t own, float *y) {
    int32_t same[LANES];
    for (int i = 0; i < LANES; i++) same[i] = own;
    const whole mine = load_whole(same);
    for (int64_t i = 0; i < n; i += LANES) {
        const whole centred = less(less(load_whole(sums + i), load_whole(corrections + i)), mine);
        store_lanes(y + i, mul(to_floats(centred), all(factor)));
    }
}

/* e^(x - max x) of one row, in place. Returns one over their sum: what makes a softmax of them. */
static float softmax(float *x, int64_t n) {
    lanes most = load_up_to(x, n, -INFINITY), sum = all(0);
    for (int64_t i = LANES; i < n; i += LANES) most = larger(load_up_to(x + i, n - i, -INFINITY), most);
    most = all(largest_of_lanes(most));
    int64_t k = 0;
    for (; k + ABREAST * LANES <= n; k += ABREAST * LANES) {
        lanes e[ABREAST];
        ALL_OF(ABREAST) e[i] = sub(load_lanes(x + k + i * LANES), most);
        exponentials(e, ABREAST);
        ALL_OF(ABREAST) store_lanes(x + k + i * LANES, e[i]);
        ALL_OF(ABREAST) sum = add(sum, e[i]);
    }
    for (; k < n; k += LANES) {
        store_up_to(x + k, exponential(sub(load_up_to(x + k, n - k, 0), most)), n - k);
        sum = add(sum, load_up_to(x + k, n - k, 0));
    }
    return 1.0f / sum_of_lanes(sum);
}

static int32_t sum_of_codes(const uint8_t *codes, int64_t n) {
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += codes[i];
    return (int32_t)sum;
}

/* sums += weight (codes - zero) */
static void accumulate(const uint8_t *codes, int64_t n, int32_t zero, int32_t weight, int32_t *sums) {
    for (int64_t i = 0; i < n; i++) /* unsigned: whatever overflows comes back when all is added up */
        sums[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)weight * ((uint32_t)codes[i] - (uint32_t)zero));
}

INLINE void words_of_keys(const uint8_t *codes, int64_t stride, int64_t columns, int64_t K, const int group,
                          int8_t *panel) {
    for (int64_t k = 0; k + group <= K; k += group)
        for (int64_t c = 0; c < columns; c++) {
            uint64_t word = 0;
            memcpy(&word, codes + c * stride + k, (size_t)group);
            word ^= 0x8080808080808080u;
            memcpy(panel + k * TQ_PANEL + c * group, &word, (size_t)group);
        }
}

/* Rows of codes become a panel: out[k/group][c][k%group] = codes[c][k] - 128, for `columns` rows of K codes. */
static void keys_to_panel(const uint8_t *codes, int64_t stride, int64_t columns, int64_t K, int group, int8_t *panel) {
    if (group == 4)
        words_of_keys(codes, stride, columns, K, 4, panel);
    else
        words_of_keys(codes, stride, columns, K, 8, panel);
    for (int64_t k = K / group * group; k < K; k++)
        for (int64_t c = 0; c < columns; c++)
            panel[(k / group) * group * TQ_PANEL + c * group + k % group] = (int8_t)(codes[c * stride + k] ^ 128);
}

/* Columns of codes become a panel: out[k/group][c][k%group] = codes[k][c] - 128, for K rows of `columns` codes. */
static void values_to_panel(const uint8_t *codes, int64_t stride, int64_t columns, int64_t K, int group, int8_t *panel) {
    int64_t k = 0;
    if (group == 4)
        for (; k + 4 <= K; k += 4) {
            const uint8_t *a = codes + k * stride, *b = a + stride, *c = b + stride, *d = c + stride;
            uint32_t words[TQ_PANEL];
            for (int64_t i = 0; i < columns; i++)
                words[i] = ((uint32_t)a[i] | (uint32_t)b[i] << 8 | (uint32_t)c[i] << 16 | (uint32_t)d[i] << 24)
                    ^ 0x80808080u;
            memcpy(panel + k * TQ_PANEL, words, 4 * (size_t)columns);
        }
    for (; k < K; k++)
        for (int64_t c = 0; c < columns; c++)
            panel[(k / group) * group * TQ_PANEL + c * group + k % group] = (int8_t)(codes[k * stride + c] ^ 128);
}

/* ---- what follows a product ---- */

/* GELU in its tanh form: x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)). */
INLINE void gelus(lanes *x, const int n) {
    lanes u[ABREAST];
    ALL_OF(n) u[i] = fused(mul(x[i], x[i]), all(-0.0713548163f), all(-1.59576912f));
    ALL_OF(n) u[i] = mul(x[i], u[i]);
    exponentials(u, n);
    ALL_OF(n) u[i] = add(all(1), u[i]);
    inverses(u, n);
    ALL_OF(n) x[i] = mul(x[i], u[i]);
}

/* What the rows of a tile share, unless rows have factors of their own: zero-points' corrections, and scales. */
typedef struct columns_of_tile {
    _Alignas(64) int32_t corrections[2][TQ_PANEL];
    float scale[2][TQ_PANEL], bias[TQ_PANEL];
} columns_of_tile;

INLINE void set_columns(const tq_finish *f, int64_t row, int64_t column, int n, columns_of_tile *t) {
    for (int i = 0; i < f->regions; i++) {
        const int32_t zero = tq_row_zero(f, i, row);
        const float factor = tq_row_factor(f, i, row);
        for (int c = 0; c < n; c++) t->corrections[i][c] = (int32_t)((uint32_t)zero * (uint32_t)f->weight_sums[column + c]);
        for (int c = 0; c < n; c++) t->scale[i][c] = factor * f->scale[column + c];
    }
}

/* (sum - z sum w) s s_w, for sixteen columns of one region. */
INLINE lanes scaled(const columns_of_tile *t, int region, const int32_t *sums, int c) {
    const lanes centred = to_floats(less(load_whole(sums + c), load_whole(t->corrections[region] + c)));
    return mul(centred, load_lanes(t->scale[region] + c));
}

/* The same for two digits of 14-bit codes, whose sum may have more than 24 bits. */
INLINE lanes scaled_digits(const columns_of_tile *t, const int32_t *high, const int32_t *low, int c) {
    float y[LANES];
    for (int i = 0; i < LANES; i++)
        y[i] = (float)(128.0 * (high[c + i] - t->corrections[0][c + i]) + (low[c + i] - t->corrections[0][c + i]));
    return mul(load_lanes(y), load_lanes(t->scale[0] + c));
}

/* Sixteen columns of a row: y = (s0 s_w sum0 + b) + s1 s_w sum1 + addend, in this order. */
INLINE lanes product(const tq_finish *f, const columns_of_tile *t, const int32_t *first, const int32_t *second, int c,
                     const float *addend, int left, const int regions) {
    lanes v = f->digits ? scaled_digits(t, first, second, c) : scaled(t, 0, first, c);
    v = add(v, load_lanes(t->bias + c));
    if (regions == 2) v = add(v, scaled(t, 1, second, c));
    return addend ? add(v, load_up_to(addend, left, 0)) : v;
}

/* What becomes of a row, for any number of columns. */
INLINE void codes_of_row(const tq_finish *f, const float *y, int64_t row, int64_t column, int n) {
    for (const tq_segment *g = f->segments; g < f->segments + f->segment_count; g++) {
        const int64_t from = g->first > column ? g->first - column : 0;
        const int64_t to = g->last < column + n ? g->last - column : n;
        for (int i = 0; i < g->regions && from < to; i++)
            quantize(y + from, to - from, g->factor, g->grid + i, f->codes[i] + row * f->codes_stride + column + from);
    }
}

INLINE void add_gated(const float *gate, const float *y, int n, float *out) {
    for (int c = 0; c < n; c += LANES) {
        const lanes sum = fused(load_up_to(gate + c, n - c, 0), load_lanes(y + c), load_up_to(out + c, n - c, 0));
        store_up_to(out + c, sum, n - c);
    }
}

static void finish_row(const tq_finish *f, const columns_of_tile *t, const int32_t *first, const int32_t *second,
                       int64_t row, int64_t column, int n) {
    float y[TQ_PANEL];
    const float *addend = f->addend ? f->addend + row * f->addend_stride + column : NULL;
    const int regions = f->digits ? 1 : f->regions;
    for (int c = 0; c < n; c += LANES) {
        lanes v = product(f, t, first, second, c, addend ? addend + c : NULL, n - c, regions);
        if (f->gelu) gelus(&v, 1);
        store_lanes(y + c, v);
    }
    if (f->kind == TQ_CODES)
        codes_of_row(f, y, row, column, n);
    else if (f->kind == TQ_GATE)
        add_gated(f->gate + row / f->gate_rows * f->gate_stride + column, y, n, f->out + row * f->out_stride + column);
    else
        memcpy(f->out + row * f->out_stride + column, y, sizeof(float) * (size_t)n);
}

/* ---- the same for full panels that become codes of one segment, or are gated: what nearly all rows of a network are ---- */

INLINE void codes_of_tile(const tq_finish *f, const tq_segment *g, const columns_of_tile *t, const int32_t *first,
                          const int32_t *second, int64_t row, int rows, int64_t column, const int regions,
                          const int with_gelu) {
    const grid_lanes one = lanes_of(g->grid), two = lanes_of(g->grid + 1);
    for (int k = 0; k < rows * TQ_PANEL; k += ABREAST * LANES) {
        const int c = k % TQ_PANEL;
        const int64_t place = (row + k / TQ_PANEL) * f->codes_stride + column + c;
        lanes v[ABREAST];
        ALL_OF(ABREAST) v[i] = product(f, t, first + k - c, second + k - c, c + i * LANES, NULL, 0, regions);
        if (with_gelu) gelus(v, ABREAST);
        ALL_OF(ABREAST) v[i] = mul(v[i], all(g->factor));
        ALL_OF(ABREAST) store_low_bytes(f->codes[0] + place + i * LANES, code(v[i], &one), one.zero);
        if (g->regions == 2)
            ALL_OF(ABREAST) store_low_bytes(f->codes[1] + place + i * LANES, code(v[i], &two), two.zero);
    }
}

INLINE void gate_of_tile(const tq_finish *f, const columns_of_tile *t, const int32_t *first, const int32_t *second,
                         int64_t row, int rows, int64_t column, const int regions) {
    for (int r = 0; r < rows; r++) {
        const float *gate = f->gate + (row + r) / f->gate_rows * f->gate_stride + column;
        float *out = f->out + (row + r) * f->out_stride + column;
        for (int c = 0; c < TQ_PANEL; c += LANES) {
            const lanes v = product(f, t, first + r * TQ_PANEL, second + r * TQ_PANEL, c, NULL, 0, regions);
            store_lanes(out + c, fused(load_lanes(gate + c), v, load_lanes(out + c)));
        }
    }
}

/* The segment that a full panel lies in, or NULL. */
INLINE const tq_segment *segment_of(const tq_finish *f, int64_t column) {
    for (const tq_segment *g = f->segments; g < f->segments + f->segment_count; g++)
        if (g->first <= column && column + TQ_PANEL <= g->last) return g;
    return NULL;
}

/* Returns 0 where a tile is none of these. */
INLINE int finish_fast(const tq_finish *f, const columns_of_tile *t, const int32_t *first, const int32_t *second,
                       int64_t row, int rows, int64_t column) {
    const tq_segment *g = f->kind == TQ_CODES ? segment_of(f, column) : NULL;
    if (f->digits || f->addend || (f->kind == TQ_GATE && f->gelu)) return 0;
    if (f->kind == TQ_GATE && f->regions == 1)
        gate_of_tile(f, t, first, second, row, rows, column, 1);
    else if (f->kind == TQ_GATE)
        gate_of_tile(f, t, first, second, row, rows, column, 2);
    else if (g && f->regions == 1 && f->gelu)
        codes_of_tile(f, g, t, first, second, row, rows, column, 1, 1);
    else if (g && f->regions == 1)
        codes_of_tile(f, g, t, first, second, row, rows, column, 1, 0);
    else
        return 0;
    return 1;
}

/* All rows of a tile. */
static void finish(const tq_finish *f, const int32_t *first, const int32_t *second, int64_t row, int rows,
                   int64_t column, int n) {
    const int own = f->row_factor[0] || f->row_zero[0] || f->row_factor[1] || f->row_zero[1];
    columns_of_tile t;
    for (int c = 0; c < TQ_PANEL; c++) t.bias[c] = f->bias && c < n ? f->bias[column + c] : 0;
    set_columns(f, row, column, n, &t);
    if (!own && n == TQ_PANEL && finish_fast(f, &t, first, second, row, rows, column)) return;
    for (int r = 0; r < rows; r++) {
        if (own) set_columns(f, row + r, column, n, &t);
        finish_row(f, &t, first + r * TQ_PANEL, second + r * TQ_PANEL, row + r, column, n);
    }
}

#define TQ_VECTOR_FUNCTIONS                                                                          \
    .quantize = quantize, .finish = finish, .normalize = normalize, .scores = scores,                \
    .softmax = softmax, .digits = digits, .range = range, .sum_of_codes = sum_of_codes,              \
    .accumulate = accumulate, .keys_to_panel = keys_to_panel, .values_to_panel = values_to_panel

#endif
