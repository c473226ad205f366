/* product.c - packed weights, and a product's loop over panels and rows.

   A unit of work is one panel of the weight (64 output channels) and a chunk of rows. The panel stays in the second-level
   cache while tile after tile of rows passes by; each tile's sums go through the epilogue while they are still warm. */
#include "product.h"

#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "threads.h"

enum {
    ALIGNMENT = 64,
    MOST_ROWS = 1024,  /* of a group */
    ROWS_STEP = 16,    /* the rows of a unit are a multiple: of the tiles of AMX, and few enough to share rows evenly */
    PIECE = 1 << 21,   /* multiply-adds of a unit, at least, but for rounding */
    PATIENCE = 2       /* a row from another core's cache takes so much longer than a weight */
};

/* ---- weights ---- */

/* One output channel: `group` codes after `group` codes, TQ_PANEL groups apart. */
static int8_t *channel_of(const tq_weight *w, int64_t c) {
    return w->panels + c / TQ_PANEL * w->K * TQ_PANEL + c % TQ_PANEL * w->group;
}

static void copy_groups(int8_t *to, int64_t to_step, const int8_t *from, int64_t from_step, int64_t in, int group) {
    const int64_t groups = in / group, rest = in % group;
    if (group == 4)
        for (int64_t i = 0; i < groups; i++) memcpy(to + i * to_step, from + i * from_step, 4);
    else
        for (int64_t i = 0; i < groups; i++) memcpy(to + i * to_step, from + i * from_step, 8);
    memcpy(to + groups * to_step, from + groups * from_step, (size_t)rest);
}

static void pack_channel(tq_weight *w, int64_t c, const int8_t *codes) {
    copy_groups(channel_of(w, c), w->group * TQ_PANEL, codes, w->group, w->in, w->group);
    int32_t sum = 0, least = 0, most = 0;
    for (int64_t k = 0; k < w->in; k++) {
        sum += codes[k];
        least = codes[k] < least ? codes[k] : least;
        most = codes[k] > most ? codes[k] : most;
    }
    w->sums[c] = sum;
    if (most > w->largest) w->largest = most;
    if (-least > w->largest) w->largest = -least;
}

tq_weight *tq_pack(const int8_t *codes, int64_t out, int64_t in) {
    if (out < 1 || in < 1 || in > 65536) { /* 65536 255 128 < 2^31 */
        tq_fail("a weight has 1 to 65536 input channels and at least 1 output channel");
        return NULL;
    }
    tq_weight *w = calloc(1, sizeof *w);
    if (w) {
        *w = (tq_weight){.out = out, .in = in, .K = padded(in, TQ_STEP), .group = tq_current()->group};
        w->panels = tq_take(padded(out, TQ_PANEL) * w->K, &w->block);
        w->sums = calloc((size_t)padded(out, TQ_PANEL), sizeof *w->sums);
    }
    if (!w || !w->panels || !w->sums) {
        tq_free(w);
        tq_fail("not enough memory for a weight");
        return NULL;
    }
    for (int64_t c = 0; c < out; c++) pack_channel(w, c, codes + c * in);
    return w;
}

int tq_unpack(const tq_weight *w, int8_t *codes) {
    for (int64_t c = 0; c < w->out; c++)
        copy_groups(codes + c * w->in, w->group, channel_of(w, c), w->group * TQ_PANEL, w->in, w->group);
    return 0;
}

int64_t tq_bytes(const tq_weight *w) {
    return padded(w->out, TQ_PANEL) * (w->K + (int64_t)sizeof *w->sums) + (int64_t)sizeof *w;
}

void tq_free(tq_weight *w) {
    if (!w) return;
    if (w->panels) tq_give(w->block);
    free(w->sums);
    free(w);
}

/* ---- products ---- */

/* Rows fall into as many groups as there are threads to share them, and units follow one another by group, by panel, and
   last by piece of the group's rows. So a panel stays in the first caches until a group is done with it, and where one
   thread lags behind, another can take small pieces off it. */
typedef struct plan {
    const tq_product *product;
    const tq_isa *isa;
    int64_t panels, group_rows, piece_rows, pieces; /* of a group */
    char *differences[2]; /* of each region's rows, or NULL */
    int64_t slot;         /* bytes for ROWS_STEP rows of them */
} plan;

static int64_t pieces_of(int64_t n, int64_t step) { return (n + step - 1) / step; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Pieces are counted through all groups. */
static int64_t first_row(const plan *j, int64_t piece) {
    return piece / j->pieces * j->group_rows + piece % j->pieces * j->piece_rows;
}

static int64_t last_row(const plan *j, int64_t piece) {
    const int64_t end_of_group = (piece / j->pieces + 1) * j->group_rows;
    return least(first_row(j, piece) + j->piece_rows, least(end_of_group, j->product->rows));
}

static void *differences_of(const plan *j, int region, int64_t row) {
    return j->differences[region] ? j->differences[region] + row / ROWS_STEP * j->slot : NULL;
}

static void differences_unit(const void *job, int64_t piece, int thread) {
    (void)thread;
    const plan *j = job;
    const tq_product *p = j->product;
    const int64_t end = last_row(j, piece);
    for (int i = 0; i < p->finish.regions; i++) {
        for (int64_t row = first_row(j, piece); row < end && j->differences[i]; row += j->isa->rows)
            j->isa->find_differences(p->codes[i] + row * p->stride, p->stride, (int)least(end - row, j->isa->rows),
                                     p->weight->K, differences_of(j, i, row));
    }
}

static void multiply_tile(const plan *j, int region, int64_t row, int rows, int64_t number, int vectors, int32_t *out) {
    const tq_product *p = j->product;
    const tq_weight *w = p->weight;
    const int8_t *panel = w->panels + number * w->K * TQ_PANEL;
    void *differences = differences_of(j, region, row);
    const int32_t *sums = w->sums + number * TQ_PANEL;
    if (differences && j->isa->tile_of_differences(differences, rows, panel, sums, w->K, vectors, out)) return;
    j->isa->tile(p->codes[region] + row * p->stride, p->stride, rows, panel, w->K, vectors, p->fits[region], out);
}

static void multiply_unit(const void *job, int64_t unit, int thread) {
    (void)thread;
    const plan *j = job;
    const tq_product *p = j->product;
    const int64_t number = unit / j->pieces % j->panels, column = number * TQ_PANEL;
    const int64_t piece = unit / (j->panels * j->pieces) * j->pieces + unit % j->pieces, end = last_row(j, piece);
    const int columns = (int)least(p->weight->out - column, TQ_PANEL);
    const int vectors = (columns + TQ_VECTOR - 1) / TQ_VECTOR;
    _Alignas(ALIGNMENT) int32_t sums[2][TQ_ROWS * TQ_PANEL]; /* of each region */
    for (int64_t row = first_row(j, piece); row < end; row += j->isa->rows) {
        const int rows = (int)least(end - row, j->isa->rows);
        for (int i = 0; i < p->finish.regions; i++) multiply_tile(j, i, row, rows, number, vectors, sums[i]);
        j->isa->finish(&p->finish, sums[0], sums[1], row, rows, column, columns);
    }
}

/* Differences are worth it where rows are many, and panels; and where codes are large. Their memory is attention's. */
static void take_differences(plan *j) {
    const tq_product *p = j->product;
    if (!j->isa->find_differences || p->rows < ROWS_STEP || j->panels < 2) return;
    j->slot = j->isa->differences_bytes(ROWS_STEP, p->weight->K);
    const int64_t bytes = pieces_of(p->rows, ROWS_STEP) * j->slot;
    char *memory = tq_memory(1 + TQ_MOST_THREADS, (size_t)(bytes * p->finish.regions));
    for (int i = 0; i < p->finish.regions && memory; i++)
        if (p->fits[i] < 2) j->differences[i] = memory + i * bytes;
}

/* Threads share either the rows, and then each reads all of the weight; or the panels, and then each reads rows that
   another one wrote. What is smaller decides. */
static int64_t rows_of_group(const tq_product *p, int64_t panels) {
    const int64_t threads = tq_threads(), weight = p->weight->K * p->weight->out;
    const int64_t written = p->finish.kind == TQ_CODES ? p->finish.regions : (int64_t)sizeof(float);
    const int64_t moved = p->rows * (p->finish.regions * p->weight->K + written * p->weight->out);
    const int64_t groups = weight < PATIENCE * moved || panels < threads ? threads : 1;
    return padded(least((p->rows + groups - 1) / groups, MOST_ROWS), ROWS_STEP);
}

void tq_multiply(const tq_isa *isa, const tq_product *p) {
    plan j = {.product = p, .isa = isa, .panels = pieces_of(p->weight->out, TQ_PANEL)};
    j.group_rows = rows_of_group(p, j.panels);
    j.piece_rows = least(padded(PIECE / (TQ_PANEL * p->weight->K), 2 * ROWS_STEP), j.group_rows);
    if (j.piece_rows == 0) j.piece_rows = least(2 * ROWS_STEP, j.group_rows);
    j.pieces = pieces_of(j.group_rows, j.piece_rows);
    const int64_t pieces = pieces_of(p->rows, j.group_rows) * j.pieces;
    take_differences(&j);
    if (j.differences[0] || j.differences[1]) tq_parallel(differences_unit, &j, pieces);
    tq_parallel(multiply_unit, &j, pieces * j.panels);
}
