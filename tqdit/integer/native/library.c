/* library.c - which instruction sets there are, which one is used, and the calls for single products. */
#define _POSIX_C_SOURCE 200809L /* for clock_gettime */

#include "library.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "product.h"
#include "threads.h"

/* ---- errors ---- */

static _Thread_local char message[256] = "";

int tq_fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    return -1;
}

const char *tq_error(void) { return message; }
int tq_version(void) { return TQ_VERSION; }

int64_t tq_size(int kind) {
    const int64_t sizes[] = {sizeof(tq_linear), sizeof(tq_step), sizeof(tq_call)};
    return kind >= 0 && kind < 3 ? sizes[kind] : -1;
}

/* ---- instruction sets, the plainest first ---- */

#define DECLARE(name) extern const tq_isa tq_isa_##name
DECLARE(avx2);
DECLARE(avxvnni);
DECLARE(avx512vnni);
DECLARE(amx);
DECLARE(dotprod);
DECLARE(i8mm);

static const tq_isa *const known[] = {
    &tq_isa_plain,
#if defined(__x86_64__)
#if !defined(TQ_WITHOUT_AVX2)
    &tq_isa_avx2,
#endif
#if !defined(TQ_WITHOUT_AVXVNNI)
    &tq_isa_avxvnni,
#endif
#if !defined(TQ_WITHOUT_AVX512VNNI)
    &tq_isa_avx512vnni,
#endif
#if !defined(TQ_WITHOUT_AMX)
    &tq_isa_amx,
#endif
#endif
#if defined(__aarch64__)
#if !defined(TQ_WITHOUT_DOTPROD)
    &tq_isa_dotprod,
#endif
#if !defined(TQ_WITHOUT_I8MM)
    &tq_isa_i8mm,
#endif
#endif
};

enum { KNOWN = sizeof known / sizeof *known };

static int chosen = 0;

static int exists(int number) { return number >= 0 && number < KNOWN; }

const char *tq_isa_name(int number) { return exists(number) ? known[number]->name : NULL; }
int tq_supported(int number) { return exists(number) && known[number]->supported(); }
int tq_chosen(void) { return chosen; }
const tq_isa *tq_current(void) { return known[chosen]; }

int tq_choose(int number) {
    if (!tq_supported(number)) return tq_fail("this processor lacks instruction set number %d", number);
    chosen = number;
    return 0;
}

const char *tq_prove(int number) {
    if (!tq_supported(number)) return "this processor lacks it";
    return tq_selftest(known[number]);
}

/* ---- the processor's limit ---- */

double tq_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct burn {
    const tq_isa *isa;
    double end, *operations; /* of each unit */
} burn;

static void burn_unit(const void *job, int64_t unit, int thread) {
    (void)thread;
    const burn *b = job;
    while (tq_now() < b->end) b->operations[unit] += b->isa->peak(1000);
}

double tq_peak(int threads, double seconds) {
    double operations[TQ_MOST_THREADS] = {0}, sum = 0;
    tq_enter(threads, tq_current());
    const double start = tq_now();
    const burn b = {.isa = tq_current(), .end = start + seconds, .operations = operations};
    tq_parallel(burn_unit, &b, tq_threads());
    const double took = tq_now() - start;
    for (int i = 0; i < tq_threads(); i++) sum += operations[i];
    tq_leave();
    return sum / took;
}

/* ---- single products ---- */

static int fits(const tq_weight *w) {
    if (!w) return tq_fail("no weight was given");
    if (w->group != tq_current()->group)
        return tq_fail("this weight is packed for another instruction set than %s", tq_current()->name);
    return 0;
}

typedef struct rows_to_codes {
    const tq_linear *call;
    const tq_isa *isa;
    uint8_t *codes[2];
    int64_t stride;
} rows_to_codes;

static void row_to_codes(const void *job, int64_t row, int thread) {
    (void)thread;
    const rows_to_codes *j = job;
    const int64_t in = j->call->weight->in;
    for (int i = 0; i < j->call->regions; i++) {
        uint8_t *codes = j->codes[i] + row * j->stride;
        if (j->call->x)
            j->isa->quantize(j->call->x + row * in, in, 1, j->call->grid + i, codes);
        else
            memcpy(codes, j->call->codes[i] + row * in, (size_t)in);
    }
}

static tq_finish stored(const tq_linear *call, const tq_isa *isa) {
    tq_finish f = {.kind = TQ_STORE, .regions = call->regions, .offset = isa->offset, .row_period = call->rows};
    f.weight_sums = call->weight->sums;
    f.scale = call->scale;
    f.bias = call->bias;
    f.out = call->y;
    f.out_stride = call->weight->out;
    for (int i = 0; i < call->regions; i++) {
        f.factor[i] = call->factor[i];
        f.zero[i] = call->zero[i];
        f.row_factor[i] = call->row_factor[i];
        f.row_zero[i] = call->row_zero[i];
    }
    return f;
}

static int linear(const tq_linear *call, const tq_isa *isa) {
    const tq_weight *w = call->weight;
    const size_t bytes = (size_t)(w->K * call->rows);
    uint8_t *codes = tq_memory(0, bytes * (size_t)call->regions);
    if (!codes) return tq_fail("not enough memory for %lld rows of codes", (long long)call->rows);
    const rows_to_codes j = {.call = call, .isa = isa, .codes = {codes, codes + bytes}, .stride = w->K};
    tq_parallel(row_to_codes, &j, call->rows);
    tq_product p = {.weight = w, .codes = {codes, codes + bytes}, .stride = w->K, .rows = call->rows};
    p.finish = stored(call, isa);
    for (int i = 0; i < call->regions; i++) p.fits[i] = tq_fits(call->top[i], w->largest);
    tq_multiply(isa, &p);
    return 0;
}

/* Products are summed in 32 bits: zero-points must be those of bytes. */
static int bad_numbers(const tq_linear *call, int region) {
    const int32_t *zeros = call->row_zero[region] ? call->row_zero[region] : call->zero + region;
    const int64_t count = call->row_zero[region] ? call->rows : 1;
    for (int64_t i = 0; i < count; i++)
        if (zeros[i] < 0 || zeros[i] > 255) return tq_fail("zero-point %d is no code of a byte", zeros[i]);
    if (call->top[region] < 0 || call->top[region] > 255)
        return tq_fail("largest code %d is no code of a byte", call->top[region]);
    const tq_grid *g = call->grid + region;
    if (call->x && !(g->lo >= 0 && g->lo <= g->hi && g->hi <= 255 && g->zero >= 0 && g->zero <= 255))
        return tq_fail("a grid whose zero-point or limits are no codes of a byte");
    return 0;
}

int tq_multiply_floats(const tq_linear *call) {
    if (fits(call->weight)) return -1;
    if (call->rows < 0 || call->rows > INT_MAX || call->regions < 1 || call->regions > 2 || !call->scale || !call->y)
        return tq_fail("a product has rows, one or two regions, scales and a place for its result");
    if (!call->x && (!call->codes[0] || (call->regions == 2 && !call->codes[1])))
        return tq_fail("a product needs floats, or the codes of every region");
    for (int i = 0; i < call->regions; i++)
        if (bad_numbers(call, i)) return -1;
    tq_enter(call->threads, tq_current());
    const int status = call->rows ? linear(call, tq_current()) : 0;
    tq_leave();
    return status;
}
