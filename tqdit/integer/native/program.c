/* program.c - a whole stack of layers in one call: a table of steps over a table of buffers.

   The steps know nothing of any network. Each reads and writes rows of buffers: floats (the residual stream, modulations)
   or codes. All is checked before the first step runs: that places lie within their buffers, and that shapes fit. */
#include <float.h>
#include <limits.h>
#include <string.h>

#include "attention.h"
#include "library.h"
#include "product.h"
#include "threads.h"

enum { ALIGNMENT = 64, ROWS_OF_UNIT = 16, MOST_WIDTH = 65536 };

#define SECONDS_BETWEEN 0.05 /* two looks at `stop` */
#define MOST_BYTES ((int64_t)1 << 46) /* of all buffers of a call: more than any machine has */

typedef struct run {
    const tq_call *call;
    const tq_isa *isa;
    char *memory; /* of buffers without data */
} run;

static int64_t aligned(int64_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* ---- places ---- */

static int64_t rows_of(const run *r, tq_place p) { return r->call->buffers[p.buffer].image_rows * r->call->images; }
static int64_t stride_of(const run *r, tq_place p) { return r->call->buffers[p.buffer].row_bytes; }

/* Where the first row of a place begins. Buffers of our own lie one after another. */
static void *start_of(const run *r, tq_place p) {
    if (p.buffer < 0) return NULL;
    const tq_buffer *b = r->call->buffers + p.buffer;
    if (b->data) return (char *)b->data + p.offset;
    int64_t before = 0;
    for (const tq_buffer *o = r->call->buffers; o < b; o++)
        if (!o->data) before += aligned(o->row_bytes * o->image_rows * r->call->images + TQ_STEP);
    return r->memory + before + p.offset;
}

static int64_t memory_of(const tq_call *call) {
    int64_t total = 0;
    for (int64_t i = 0; i < call->buffer_count; i++)
        if (!call->buffers[i].data)
            total += aligned(call->buffers[i].row_bytes * call->buffers[i].image_rows * call->images + TQ_STEP);
    return total;
}

/* ---- steps on rows: LayerNorm and codes ---- */

typedef struct rows_job {
    const run *r;
    const tq_step *s;
    int64_t rows;
} rows_job;

/* The grid of a row whose scale and zero-point are found now, for codes 0 .. measured. */
static tq_grid measure(const rows_job *j, const float *x, int64_t row) {
    float least, most;
    j->r->isa->range(x, j->s->width, &least, &most);
    float step = (most - least) / (float)j->s->measured;
    if (step < FLT_MIN) step = 1.0f; /* one over it must be a number */
    if (step > FLT_MAX) step = FLT_MAX;
    const float above = -least / step + 0.5f, highest = (float)j->s->measured;
    const float zero = (float)(int32_t)(above < highest ? above : highest);
    ((float *)((char *)start_of(j->r, j->s->row_factor) + row * stride_of(j->r, j->s->row_factor)))[0] = step;
    ((int32_t *)((char *)start_of(j->r, j->s->row_zero) + row * stride_of(j->r, j->s->row_zero)))[0] = (int32_t)zero;
    return (tq_grid){1.0f / step, zero, 0, (float)j->s->measured};
}

static void row_to_codes(const rows_job *j, const float *x, int64_t row) {
    const tq_step *s = j->s;
    const int64_t stride = stride_of(j->r, s->out);
    uint8_t *first = (uint8_t *)start_of(j->r, s->out) + row * stride;
    uint8_t *second = s->regions == 2 ? (uint8_t *)start_of(j->r, s->out2) + row * stride_of(j->r, s->out2) : NULL;
    if (s->digits) {
        j->r->isa->digits(x, s->width, s->inverse, s->digits == 2, first, second);
        return;
    }
    tq_grid grid = s->measured ? measure(j, x, row) : s->grid[0];
    if (s->position_factor) {
        const int64_t position = row % j->r->call->buffers[s->in.buffer].image_rows;
        grid.inverse = 1.0f / s->position_factor[position];
        grid.zero = (float)s->position_zero[position];
    }
    j->r->isa->quantize(x, s->width, 1, &grid, first);
    if (second) j->r->isa->quantize(x, s->width, 1, s->grid + 1, second);
}

static void rows_unit(const void *job, int64_t unit, int thread) {
    const rows_job *j = job;
    const tq_step *s = j->s;
    const int64_t image_rows = j->r->call->buffers[s->in.buffer].image_rows;
    const int64_t end = (unit + 1) * ROWS_OF_UNIT < j->rows ? (unit + 1) * ROWS_OF_UNIT : j->rows;
    const char *in = start_of(j->r, s->in), *shift = NULL, *scale = NULL;
    float *normed = tq_memory(1 + thread, 0);
    if (s->kind == TQ_NORM) {
        shift = start_of(j->r, s->shift);
        scale = start_of(j->r, s->scale_row);
    }
    for (int64_t row = unit * ROWS_OF_UNIT; row < end; row++) {
        const float *x = (const float *)(in + row * stride_of(j->r, s->in));
        if (s->kind == TQ_QUANTIZE) {
            row_to_codes(j, x, row);
            continue;
        }
        const int64_t image = row / image_rows;
        j->r->isa->normalize(x, s->width, s->eps,
                             shift ? (const float *)(shift + image * stride_of(j->r, s->shift)) : NULL,
                             scale ? (const float *)(scale + image * stride_of(j->r, s->scale_row)) : NULL, normed);
        row_to_codes(j, normed, row);
    }
}

static int do_rows(const run *r, const tq_step *s) {
    for (int thread = 0; thread < tq_threads(); thread++)
        if (!tq_memory(1 + thread, sizeof(float) * (size_t)s->width)) return tq_fail("not enough memory for a row");
    const rows_job j = {r, s, rows_of(r, s->in)};
    tq_parallel(rows_unit, &j, (j.rows + ROWS_OF_UNIT - 1) / ROWS_OF_UNIT);
    return 0;
}

/* ---- products and attention ---- */

static void set_factors(const run *r, const tq_step *s, tq_finish *f) {
    f->row_period = rows_of(r, s->in);
    for (int i = 0; i < s->regions; i++) {
        f->factor[i] = s->factor[i];
        f->zero[i] = s->zero[i];
        if (s->row_factor.buffer >= 0) {
            f->row_factor[i] = start_of(r, s->row_factor);
            f->row_zero[i] = start_of(r, s->row_zero);
        } else if (s->position_factor) {
            f->row_factor[i] = s->position_factor;
            f->row_zero[i] = s->position_zero;
            f->row_period = r->call->buffers[s->in.buffer].image_rows;
        }
    }
}

static int do_linear(const run *r, const tq_step *s) {
    const int64_t floats = sizeof(float);
    tq_product p = {.weight = s->weight, .stride = stride_of(r, s->in), .rows = rows_of(r, s->in)};
    tq_finish *f = &p.finish;
    *f = (tq_finish){.kind = s->finish, .regions = s->regions, .digits = s->digits, .gelu = s->gelu};
    f->weight_sums = s->weight->sums;
    f->scale = s->scale;
    f->bias = s->bias;
    f->offset = r->isa->offset;
    set_factors(r, s, f);
    f->addend = start_of(r, s->addend);
    f->addend_stride = f->addend ? stride_of(r, s->addend) / floats : 0;
    if (s->finish == TQ_CODES) {
        f->codes[0] = start_of(r, s->out);
        f->codes[1] = start_of(r, s->out2);
        f->codes_stride = stride_of(r, s->out);
    } else {
        f->out = start_of(r, s->out);
        f->out_stride = stride_of(r, s->out) / floats;
    }
    f->gate = s->finish == TQ_GATE ? start_of(r, s->gate) : NULL;
    f->gate_stride = f->gate ? stride_of(r, s->gate) / floats : 0;
    f->gate_rows = r->call->buffers[s->in.buffer].image_rows;
    f->segments = s->segments;
    f->segment_count = s->segment_count;
    p.codes[0] = start_of(r, s->in);
    p.codes[1] = s->regions == 2 ? start_of(r, s->in2) : NULL;
    for (int i = 0; i < s->regions; i++) p.fits[i] = tq_fits(s->top[i], s->weight->largest);
    tq_multiply(r->isa, &p);
    return 0;
}

static tq_heads heads_at(const run *r, tq_place p, int32_t zero) {
    return (tq_heads){start_of(r, p), stride_of(r, p), r->call->buffers[p.buffer].image_rows, zero};
}

static int do_attention(const run *r, const tq_step *s) {
    tq_attention a = {.images = r->call->images, .heads = s->heads, .width = s->width};
    a.q = heads_at(r, s->in, s->zero[0]);
    a.k = heads_at(r, s->keys, s->key_zero);
    a.v = heads_at(r, s->values, s->value_zero);
    a.score_factor = s->factor[0];
    a.value_factor = s->factor[1];
    a.probability = s->grid[0];
    a.grid = s->grid[1];
    a.stacked = s->stacked;
    a.border = s->border;
    a.highest = s->highest;
    a.ratio = s->ratio;
    a.high_inverse = s->high_inverse;
    if (s->finish == TQ_CODES)
        a.codes = start_of(r, s->out);
    else
        a.floats = start_of(r, s->out);
    a.stride = stride_of(r, s->out) / (s->finish == TQ_CODES ? 1 : (int64_t)sizeof(float));
    return tq_attend(r->isa, &a);
}

/* ---- checks ---- */

static int no_place(const tq_call *c, tq_place p, int64_t bytes, const char *what) {
    if (p.buffer < 0 || p.buffer >= c->buffer_count) return tq_fail("%s: there is no buffer %lld", what,
                                                                    (long long)p.buffer);
    const tq_buffer *b = c->buffers + p.buffer;
    if (p.offset < 0 || bytes > b->row_bytes || p.offset > b->row_bytes - bytes)
        return tq_fail("%s: %lld bytes from %lld on do not fit into rows of %lld", what, (long long)bytes,
                       (long long)p.offset, (long long)b->row_bytes);
    return 0;
}

/* Codes are read up to the next multiple of TQ_STEP, so they must lie in memory of our own. */
static int no_codes(const tq_call *c, tq_place p, int64_t bytes, const char *what) {
    if (no_place(c, p, bytes, what)) return -1;
    return c->buffers[p.buffer].data ? tq_fail("%s: codes lie in a buffer without data", what) : 0;
}

/* The codes of a second region lie as those of the first one do. */
static int no_second(const tq_call *c, tq_place first, tq_place second, int64_t bytes, const char *what) {
    if (no_codes(c, second, bytes, what)) return -1;
    const tq_buffer *a = c->buffers + first.buffer, *b = c->buffers + second.buffer;
    return a->row_bytes == b->row_bytes && a->image_rows == b->image_rows
        ? 0 : tq_fail("%s: both regions need as many rows, of the same length", what);
}

static int no_floats(const tq_call *c, tq_place p, int64_t width, const char *what) {
    const int64_t size = sizeof(float);
    if (width > INT_MAX || no_place(c, p, width * size, what)) return width > INT_MAX ? tq_fail("%s: too wide", what) : -1;
    const tq_buffer *b = c->buffers + p.buffer;
    const int aligned = p.offset % size == 0 && b->row_bytes % size == 0 && (intptr_t)b->data % size == 0;
    return aligned ? 0 : tq_fail("%s: floats begin at multiples of 4 bytes", what);
}

static int bad_byte(int64_t v, const char *what) {
    return v < 0 || v > 255 ? tq_fail("%s: %lld is no code of a byte", what, (long long)v) : 0;
}

static int is_byte(float v) { return v >= 0 && v <= 255 && v == (float)(int)v; }

static int bad_grid(const tq_grid *g, const char *what) {
    const int fine = is_byte(g->zero) && is_byte(g->lo) && is_byte(g->hi) && g->lo <= g->hi;
    return fine ? 0 : tq_fail("%s: zero-point or limits are no codes of a byte", what);
}

/* Row factors are read one after another, without gaps. */
static int no_factors(const tq_call *c, const tq_step *s, int64_t rows) {
    const tq_place places[] = {s->row_factor, s->row_zero};
    for (int i = 0; i < 2; i++) {
        if (no_floats(c, places[i], 1, "row factors")) return -1;
        const tq_buffer *b = c->buffers + places[i].buffer;
        if (b->row_bytes != 4 || b->image_rows != rows) return tq_fail("row factors: rows of 4 bytes, one for each row");
    }
    return 0;
}

static int no_rows(const tq_call *c, tq_place p, int64_t width, int64_t rows, const char *what) {
    if (no_floats(c, p, width, what)) return -1;
    if (c->buffers[p.buffer].image_rows != rows)
        return tq_fail("%s: %lld rows an image, expected %lld", what, (long long)c->buffers[p.buffer].image_rows,
                       (long long)rows);
    return 0;
}

static int bad_codes_of_rows(const tq_call *c, const tq_step *s) {
    if (no_codes(c, s->out, s->width, "codes of a norm")) return -1;
    if (c->buffers[s->out.buffer].image_rows != c->buffers[s->in.buffer].image_rows)
        return tq_fail("a norm has as many rows as its codes");
    if (s->regions == 2 && no_second(c, s->out, s->out2, s->width, "codes of a norm's second region")) return -1;
    if (s->digits) return s->regions == 2 ? 0 : tq_fail("digits are two regions");
    if (s->position_factor && !s->position_zero) return tq_fail("factors of positions need zero-points");
    for (int i = 0; i < (s->regions == 2 ? 2 : 1); i++)
        if (!(i == 0 && s->measured) && bad_grid(s->grid + i, "codes of a norm")) return -1;
    return 0;
}

static int bad_rows(const tq_call *c, const tq_step *s) {
    if (s->width < 1) return tq_fail("a row has at least one channel");
    if (no_floats(c, s->in, s->width, "input of a norm")) return -1;
    if (s->kind == TQ_NORM && (s->shift.buffer >= 0 || s->scale_row.buffer >= 0)
        && (no_rows(c, s->shift, s->width, 1, "shift") || no_rows(c, s->scale_row, s->width, 1, "scale")))
        return -1;
    if (bad_codes_of_rows(c, s)) return -1;
    if (!s->measured) return 0;
    if (s->measured < 0 || s->measured > 255) return tq_fail("codes from 0 to %d", s->measured);
    return no_factors(c, s, c->buffers[s->in.buffer].image_rows);
}

static int bad_segments(const tq_step *s) {
    int64_t from = 0;
    if (!s->segments) return tq_fail("codes of a product need segments");
    for (int64_t i = 0; i < s->segment_count; i++) {
        const tq_segment *g = s->segments + i;
        if (g->first != from || g->last <= from || g->regions < 1 || g->regions > 2)
            return tq_fail("segments must cover all columns of a product in their order");
        if (g->regions == 2 && s->out2.buffer < 0) return tq_fail("a second region has no place");
        for (int k = 0; k < g->regions; k++)
            if (bad_grid(g->grid + k, "codes of a product")) return -1;
        from = g->last;
    }
    return from == s->weight->out ? 0 : tq_fail("segments must cover all columns of a product");
}

static int bad_factors(const tq_call *c, const tq_step *s) {
    for (int i = 0; i < s->regions; i++)
        if (bad_byte(s->zero[i], "zero-point of a product") || bad_byte(s->top[i], "largest code of a product")) return -1;
    if (s->position_factor && !s->position_zero) return tq_fail("factors of positions need zero-points");
    return s->row_factor.buffer >= 0 ? no_factors(c, s, c->buffers[s->in.buffer].image_rows) : 0;
}

static int bad_input(const tq_call *c, const tq_step *s) {
    const tq_weight *w = s->weight;
    if (!w || !s->scale || s->regions < 1 || s->regions > 2) return tq_fail("a product needs a weight, scales and codes");
    if (w->group != tq_current()->group) return tq_fail("a weight is packed for another instruction set");
    if (s->digits && s->regions != 2) return tq_fail("digits are two regions");
    if (no_codes(c, s->in, w->in, "input of a product")) return -1;
    if (s->regions == 2 && no_second(c, s->in, s->in2, w->in, "second region of a product")) return -1;
    return bad_factors(c, s);
}

static int bad_linear(const tq_call *c, const tq_step *s) {
    if (bad_input(c, s)) return -1;
    const int64_t out = s->weight->out, rows = c->buffers[s->in.buffer].image_rows;
    if (s->finish == TQ_CODES) {
        if (no_codes(c, s->out, out, "codes of a product") || bad_segments(s)) return -1;
        if (s->out2.buffer >= 0 && no_second(c, s->out, s->out2, out, "codes of a second region")) return -1;
    } else if (no_rows(c, s->out, out, rows, "output of a product"))
        return -1;
    if (s->finish < TQ_STORE || s->finish > TQ_CODES) return tq_fail("a product cannot end with %d", s->finish);
    if (s->finish == TQ_GATE && no_rows(c, s->gate, out, 1, "gate")) return -1;
    if (s->addend.buffer >= 0 && no_rows(c, s->addend, out, rows, "addend")) return -1;
    return c->buffers[s->out.buffer].image_rows == rows ? 0 : tq_fail("a product has as many rows as its input");
}

/* Sums of probabilities' codes times values' codes must fit into 32 bits. */
static int bad_probabilities(const tq_step *s) {
    if (bad_grid(s->grid, "probabilities")) return -1;
    if (!s->stacked) return 0;
    if (s->border < 1 || s->border > 255 || s->grid[0].hi != (float)s->border)
        return tq_fail("two regions meet at a code from 1 to 255, the largest of the lower one's grid");
    if (s->ratio < 1 || s->highest < 1 || s->ratio > 255 || s->highest > 255)
        return tq_fail("codes of the upper region are 1 to 255, and as many steps of the lower one");
    return 0;
}

static int bad_attention(const tq_call *c, const tq_step *s) {
    if (s->heads < 1 || s->width < 1) return tq_fail("attention has heads, and heads have channels");
    if (s->heads > MOST_WIDTH || s->width > MOST_WIDTH) return tq_fail("attention has at most %d channels", MOST_WIDTH);
    const int64_t width = s->heads * s->width;
    if (no_codes(c, s->in, width, "queries") || no_codes(c, s->keys, width, "keys")
        || no_codes(c, s->values, width, "values") || bad_byte(s->zero[0], "zero-point of queries")
        || bad_byte(s->key_zero, "zero-point of keys") || bad_byte(s->value_zero, "zero-point of values"))
        return -1;
    const int64_t tokens = c->buffers[s->keys.buffer].image_rows;
    if (tokens != c->buffers[s->values.buffer].image_rows) return tq_fail("there are as many values as keys");
    if (tokens > MOST_WIDTH) return tq_fail("attention has at most %d keys", MOST_WIDTH);
    if (bad_probabilities(s)) return -1;
    const int codes = s->finish == TQ_CODES;
    if (!codes && s->finish != TQ_STORE) return tq_fail("attention cannot end with %d", s->finish);
    if (codes && bad_grid(s->grid + 1, "codes of attention")) return -1;
    if (codes ? no_codes(c, s->out, width, "codes of attention") : no_floats(c, s->out, width, "output of attention"))
        return -1;
    return c->buffers[s->out.buffer].image_rows == c->buffers[s->in.buffer].image_rows
        ? 0 : tq_fail("attention gives a row for each query");
}

static int bad_buffers(const tq_call *c) {
    int64_t total = 0;
    if (c->images < 0 || c->images > INT_MAX) return tq_fail("%lld images", (long long)c->images);
    for (int64_t i = 0; i < c->buffer_count; i++) {
        const tq_buffer *b = c->buffers + i;
        if (b->row_bytes < 1 || b->image_rows < 1) return tq_fail("an empty buffer");
        const int long_rows = b->row_bytes > INT_MAX || b->image_rows > INT_MAX;
        if (long_rows || (c->images && b->image_rows > INT_MAX / c->images)) return tq_fail("a buffer is too large");
        total += b->row_bytes * b->image_rows * c->images;
        if (total > MOST_BYTES || i > INT_MAX) return tq_fail("buffers are too large");
    }
    return 0;
}

static int bad_call(const tq_call *c) {
    if (c->step_count < 0 || c->buffer_count < 0 || (c->step_count && !c->steps) || (c->buffer_count && !c->buffers))
        return tq_fail("a call has a table of steps and one of buffers");
    if (bad_buffers(c)) return -1;
    for (const tq_step *s = c->steps; s < c->steps + c->step_count; s++) {
        const int bad = s->kind == TQ_NORM || s->kind == TQ_QUANTIZE ? bad_rows(c, s)
            : s->kind == TQ_LINEAR                                   ? bad_linear(c, s)
            : s->kind == TQ_ATTENTION                                ? bad_attention(c, s)
                                                                     : tq_fail("there is no step of kind %d", s->kind);
        if (bad) return -1;
    }
    return 0;
}

/* ---- the call ---- */

/* Has the caller's patience ended? Asked now and then, because asking costs the caller something. */
static int stopped(const tq_call *call, double *asked) {
    if (!call->stop || tq_now() < *asked + SECONDS_BETWEEN) return 0;
    *asked = tq_now();
    return call->stop();
}

static int do_step(const run *r, const tq_step *s) {
    if (s->kind == TQ_LINEAR) return do_linear(r, s);
    return s->kind == TQ_ATTENTION ? do_attention(r, s) : do_rows(r, s);
}

static int do_steps(const run *r) {
    double asked = tq_now();
    for (int64_t i = 0; i < r->call->step_count; i++) {
        const double start = r->call->seconds ? tq_now() : 0;
        if (do_step(r, r->call->steps + i)) return -1;
        if (r->call->seconds) r->call->seconds[i] = tq_now() - start;
        if (stopped(r->call, &asked)) return 1;
    }
    return 0;
}

int tq_run(const tq_call *call) {
    if (bad_call(call)) return -1;
    if (!call->images) return 0;
    tq_enter(call->threads, tq_current());
    run r = {.call = call, .isa = tq_current(), .memory = tq_memory(0, (size_t)memory_of(call))};
    const int status = r.memory ? do_steps(&r) : tq_fail("not enough memory for %lld images", (long long)call->images);
    tq_leave();
    return status;
}
