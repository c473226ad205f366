/* differences_avx2.h - products of bytes with AVX2, by what rows differ in.

   vpmaddubsw multiplies bytes, and adds two products in 16 bits. Codes of a whole byte are too large for that, and to
   widen them takes many more instructions. But rows of codes are alike: neighbouring tokens have been shifted and scaled
   alike. Let b be the mean of some rows c, o the mean of b, and d = c - b; then

       sum c w = sum d w + sum (b - o) w + o sum w:

   small numbers d, and the mean as one more row. Differences have a sign, where vpmaddubsw wants one side without:

       sum d w = sum d (w + 128) - 128 sum d.

   w + 128 is at most 255. So four products fit into 16 bits, whatever the weights are, where of their four differences
   the positive ones add up to 127 at most, and the negative ones, too. Eight neighbouring inputs are two such fours. They
   are quiet where that holds; else they are loud, and cut into shares that are quiet. The first share stays in its place,
   the others go into a list. So all products are exact, and 64 of them take 5 instructions instead of 8. */
#ifndef TQDIT_DIFFERENCES_AVX2_H
#define TQDIT_DIFFERENCES_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "isa.h"
#include "x86.h"

enum {
    TILE = 32,             /* rows that have a mean in common, at most */
    EIGHT = 8,             /* neighbouring inputs */
    QUIET = 127,           /* 255 times as much fits into 16 bits */
    FEW = 4,               /* one of so many neighbourhoods may have a share in its row's list, ... */
    MANY = 4,              /* and one may have so many in the list of the mean */
    CHUNK = 256,           /* inputs whose weights stay in the first-level cache */
    BLOCK = 11,            /* rows whose sums are in registers at once; three blocks are a tile and its mean */
    BYTES = 4 * TQ_PANEL,  /* of a panel: 4 inputs of all channels */
    CHANNELS = 8,          /* sums in a register */
    VECTORS = TQ_PANEL / CHANNELS
};

ALWAYS_INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
ALWAYS_INLINE void store(void *p, __m256i v) { _mm256_storeu_si256((__m256i *)p, v); }

/* Four bytes, 8 times. */
ALWAYS_INLINE __m256i broadcast(const void *p) {
    int32_t lane;
    memcpy(&lane, p, sizeof lane);
    return _mm256_set1_epi32(lane);
}

/* An addition that stays where it is written: gcc would move them together, and run out of registers. */
ALWAYS_INLINE __m256i plus(__m256i sum, __m256i products) {
    __asm__ volatile("vpaddd %1, %0, %0" : "+x"(sum) : "x"(products));
    return sum;
}

/* ---- where they lie: a header with the mean, the rows, and the mean's differences as one more row ---- */

typedef struct header {
    int32_t usable, origin;
    uint8_t mean[];
} header;

typedef struct share {
    int32_t k; /* of the first of its eight inputs */
    int8_t d[EIGHT];
} share;

/* It follows the K differences of a row. */
typedef struct tail {
    int32_t sum;    /* of all differences, as they were before they were cut */
    share shares[]; /* by their k; one with k = K ends them */
} tail;

static int64_t most_shares(int64_t K) { return K / EIGHT / FEW; }
static int64_t most_of_mean(int64_t K) { return K / EIGHT * MANY; }

static int64_t list_bytes(int64_t shares) { return (int64_t)sizeof(tail) + (shares + 1) * (int64_t)sizeof(share); }
static int64_t header_bytes(int64_t K) { return padded((int64_t)sizeof(header) + K, 64); }
static int64_t row_bytes(int64_t K) { return padded(K + list_bytes(most_shares(K)), 64); }

static int64_t differences_bytes(int64_t rows, int64_t K) {
    return header_bytes(K) + rows * row_bytes(K) + padded(K + list_bytes(most_of_mean(K)), 64);
}

static int8_t *row_of(void *differences, int64_t row, int64_t K) {
    return (int8_t *)differences + header_bytes(K) + row * row_bytes(K);
}

static tail *tail_of(int8_t *row, int64_t K) { return (tail *)(row + K); }

/* ---- rows become differences ---- */

/* The mean of each input, rounded. One that is a little off would do as well. */
static void find_mean(const uint8_t *a, int64_t stride, int rows, int64_t K, uint8_t *mean) {
    const __m256i half = _mm256_set1_epi16((int16_t)(rows / 2)), even = _mm256_set1_epi16(255);
    const __m256i part = _mm256_set1_epi16((int16_t)(rows > 1 ? 65536 / rows : 65535));
    for (int64_t k = 0; k < K; k += 32) {
        __m256i left = half, right = half;
        for (int r = 0; r < rows; r++) {
            const __m256i codes = load(a + r * stride + k);
            left = _mm256_add_epi16(left, _mm256_and_si256(codes, even));
            right = _mm256_add_epi16(right, _mm256_srli_epi16(codes, 8));
        }
        left = _mm256_mulhi_epu16(left, part);
        right = _mm256_mulhi_epu16(right, part);
        store(mean + k, _mm256_or_si256(left, _mm256_slli_epi16(right, 8)));
    }
}

/* Of each 8 bytes x0 .. x7: x0 + x1 + x4 + x5 and x2 + x3 + x6 + x7, in the first two of four lanes. */
ALWAYS_INLINE __m256i sums_of_fours(__m256i bytes) {
    const __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
    return _mm256_add_epi16(pairs, _mm256_srli_epi64(pairs, 32));
}

/* One bit for each eight of 32 differences a - b: is it loud? */
ALWAYS_INLINE int find_loud(__m256i a, __m256i b) {
    const __m256i above = sums_of_fours(_mm256_subs_epu8(a, b)), below = sums_of_fours(_mm256_subs_epu8(b, a));
    const __m256i over = _mm256_cmpgt_epi16(_mm256_max_epi16(above, below), _mm256_set1_epi16(QUIET));
    const __m256i quiet = _mm256_cmpeq_epi64(_mm256_slli_epi64(over, 32), _mm256_setzero_si256());
    return 15 ^ _mm256_movemask_pd(_mm256_castsi256_pd(quiet));
}

/* The most that differences of one sign add up to, in one of the two fours. */
static int loudness(const uint8_t *a, const uint8_t *b) {
    int above[2] = {0}, below[2] = {0}, most = 0;
    for (int i = 0; i < EIGHT; i++) {
        const int d = a[i] - b[i], four = i / 2 % 2;
        if (d > 0)
            above[four] += d;
        else
            below[four] -= d;
    }
    for (int four = 0; four < 2; four++) {
        most = most > above[four] ? most : above[four];
        most = most > below[four] ? most : below[four];
    }
    return most;
}

/* Eight differences d become n = 2, 4, 8 or 16 shares, floor((d + j) / n) for j < n: they add up to d. Rounding makes a
   four louder by 4 (n - 1) / n at most. Returns where the list goes on; NULL where it is full. */
static share *cut(const uint8_t *a, const uint8_t *b, int64_t k, int8_t *place, share *list, const share *end) {
    const int most = loudness(a, b);
    int bits = 1;
    while (most + 4 * ((1 << bits) - 1) > QUIET << bits) bits++;
    const int n = 1 << bits;
    if (end - list < n - 1) return NULL;
    for (int i = 0; i < EIGHT; i++) place[i] = (int8_t)((a[i] - b[i]) >> bits);
    for (int j = 1; j < n; j++, list++) {
        list->k = (int32_t)k;
        for (int i = 0; i < EIGHT; i++) list->d[i] = (int8_t)((a[i] - b[i] + j) >> bits);
    }
    return list;
}

/* One row a - b; the next 32 of b are `step` further on. Returns 0 where more shares are needed than `most`. */
static int differ(const uint8_t *a, const uint8_t *b, int64_t step, int64_t K, int64_t most, int8_t *row) {
    tail *t = tail_of(row, K);
    share *list = t->shares;
    const share *end = list + most;
    __m256i sums = _mm256_setzero_si256();
    for (int64_t k = 0; k < K; k += 32, b += step) {
        const __m256i codes = load(a + k), less = load(b), zero = _mm256_setzero_si256();
        store(row + k, _mm256_sub_epi8(codes, less));
        sums = _mm256_add_epi64(sums, _mm256_sub_epi64(_mm256_sad_epu8(codes, zero), _mm256_sad_epu8(less, zero)));
        const int loud = find_loud(codes, less);
        for (int i = 0; loud >> i && list; i++) {
            const int at = EIGHT * i;
            if (loud >> i & 1) list = cut(a + k + at, b + at, k + at, row + k + at, list, end);
        }
        if (!list) return 0;
    }
    list->k = (int32_t)K;
    int64_t sum[4];
    store(sum, sums);
    t->sum = (int32_t)(sum[0] + sum[1] + sum[2] + sum[3]);
    return 1;
}

static void find_differences(const uint8_t *a, int64_t stride, int rows, int64_t K, void *differences) {
    header *h = differences;
    uint8_t origins[32];
    int64_t sum = 0;
    find_mean(a, stride, rows, K, h->mean);
    for (int64_t k = 0; k < K; k++) sum += h->mean[k];
    h->origin = (int32_t)(sum / K);
    memset(origins, h->origin, sizeof origins);
    h->usable = differ(h->mean, origins, 0, K, most_of_mean(K), row_of(differences, rows, K));
    for (int r = 0; r < rows && h->usable; r++)
        h->usable = differ(a + r * stride, h->mean, 32, K, most_shares(K), row_of(differences, r, K));
}

/* ---- products ---- */

/* 8 sums of 8 products. `left` and `right`: 8 channels, 4 inputs each. Codes have no sign; differences have one, and then
   weights have none. */
ALWAYS_INLINE __m256i eight_products(const void *rows, __m256i left, __m256i right, const int codes) {
    const __m256i x = broadcast(rows), y = broadcast((const uint8_t *)rows + 4);
    const __m256i first = codes ? _mm256_maddubs_epi16(x, left) : _mm256_maddubs_epi16(left, x);
    const __m256i second = codes ? _mm256_maddubs_epi16(y, right) : _mm256_maddubs_epi16(right, y);
    return _mm256_madd_epi16(_mm256_add_epi16(first, second), _mm256_set1_epi16(1));
}

ALWAYS_INLINE __m256i weights_of(const int8_t *panel, const int codes) {
    return codes ? load(panel) : _mm256_xor_si256(load(panel), _mm256_set1_epi8(-128)); /* w + 128 */
}

/* Rows times 8 channels. */
ALWAYS_INLINE void block(const uint8_t *a, int64_t stride, const int8_t *panel, int64_t n, int32_t *out, const int codes,
                         const int rows) {
    __m256i sums[BLOCK];
    UNROLL for (int r = 0; r < rows; r++) sums[r] = load(out + r * TQ_PANEL);
    for (int64_t k = 0; k < n; k += EIGHT, panel += 2 * BYTES) {
        const __m256i left = weights_of(panel, codes), right = weights_of(panel + BYTES, codes);
        UNROLL for (int r = 0; r < rows; r++)
            sums[r] = plus(sums[r], eight_products(a + r * stride + k, left, right, codes));
    }
    UNROLL for (int r = 0; r < rows; r++) store(out + r * TQ_PANEL, sums[r]);
}

#define CASE(n, f, ...) \
    case n: f(__VA_ARGS__, n); break;

/* Call `f(..., rows)` with a constant. */
#define WITH_ROWS(rows, f, ...) \
    switch (rows) { \
        CASE(1, f, __VA_ARGS__) CASE(2, f, __VA_ARGS__) CASE(3, f, __VA_ARGS__) CASE(4, f, __VA_ARGS__) \
        CASE(5, f, __VA_ARGS__) CASE(6, f, __VA_ARGS__) CASE(7, f, __VA_ARGS__) CASE(8, f, __VA_ARGS__) \
        CASE(9, f, __VA_ARGS__) CASE(10, f, __VA_ARGS__) CASE(11, f, __VA_ARGS__) \
    }

/* All rows times 8 channels, in blocks of nearly the same height. */
ALWAYS_INLINE void blocks(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t n, int32_t *out,
                          const int codes) {
    for (int left = (rows + BLOCK - 1) / BLOCK; left; left--) {
        const int some = (rows + left - 1) / left;
        WITH_ROWS(some, block, a, stride, panel, n, out, codes)
        rows -= some;
        a += some * stride;
        out += some * TQ_PANEL;
    }
}

APART void blocks_of_codes(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t n, int32_t *out) {
    blocks(a, stride, rows, panel, n, out, 1);
}

APART void blocks_of_differences(const int8_t *d, int64_t stride, int rows, const int8_t *panel, int64_t n,
                                 int32_t *out) {
    blocks((const uint8_t *)d, stride, rows, panel, n, out, 0);
}

/* Add shares of inputs before `end`, times all channels, to the sums of their row. Returns the next share. */
APART const share *add_shares(const share *s, int64_t end, const int8_t *panel, int32_t *out) {
    __m256i sums[VECTORS];
    if (s->k >= end) return s;
    UNROLL for (int v = 0; v < VECTORS; v++) sums[v] = load(out + v * CHANNELS);
    for (; s->k < end; s++) {
        const int8_t *four = panel + s->k * TQ_PANEL;
        UNROLL for (int v = 0; v < VECTORS; v++, four += 4 * CHANNELS)
            sums[v] = plus(sums[v], eight_products(s->d, weights_of(four, 0), weights_of(four + BYTES, 0), 0));
    }
    UNROLL for (int v = 0; v < VECTORS; v++) store(out + v * CHANNELS, sums[v]);
    return s;
}

/* Ask for the weights of 8 channels, CHUNK inputs further on. */
ALWAYS_INLINE void fetch(const int8_t *panel, int v) {
    const char *lines = (const char *)panel + CHUNK * (TQ_PANEL + v * CHANNELS);
    for (int i = 0; i < CHUNK * CHANNELS; i += 64) _mm_prefetch(lines + i, _MM_HINT_T0);
}

/* Products of differences, without what `add_up` adds. */
static void multiply_differences(void *differences, int rows, const int8_t *panel, int64_t K, int vectors,
                                 int32_t *sums) {
    const share *next[TILE + 1];
    const int8_t *first = row_of(differences, 0, K);
    for (int r = 0; r < rows; r++) next[r] = tail_of(row_of(differences, r, K), K)->shares;
    for (int64_t k = 0; k < K; k += CHUNK) {
        const int64_t n = K - k < CHUNK ? K - k : CHUNK;
        const int8_t *part = panel + k * TQ_PANEL;
        for (int v = 0; v < vectors * TQ_VECTOR / CHANNELS; v++) {
            fetch(part, v);
            blocks_of_differences(first + k, row_bytes(K), rows, part + v * 4 * CHANNELS, n, sums + v * CHANNELS);
        }
        for (int r = 0; r < rows; r++) next[r] = add_shares(next[r], k + n, panel, sums + r * TQ_PANEL);
    }
}

/* out = sums of a row + those of the mean + a number that is the same for all channels. */
ALWAYS_INLINE void add_up(const int32_t *sums, const int32_t *mean, int32_t number, int32_t *out) {
    for (int c = 0; c < TQ_PANEL; c += CHANNELS) {
        const __m256i same = _mm256_add_epi32(load(mean + c), _mm256_set1_epi32(number));
        store(out + c, _mm256_add_epi32(load(sums + c), same));
    }
}

/* Sums go round beyond 32 bits, and come back: the last one fits. */
static int tile_of_differences(void *differences, int rows, const int8_t *panel, const int32_t *weight_sums, int64_t K,
                               int vectors, int32_t *out) {
    const header *h = differences;
    int32_t sums[(TILE + 1) * TQ_PANEL] = {0}, *mean = sums + rows * TQ_PANEL;
    if (!h->usable) return 0;
    multiply_differences(differences, rows + 1, panel, K, vectors, sums);
    for (int c = 0; c < TQ_PANEL; c++)
        mean[c] = (int32_t)((uint32_t)mean[c] + (uint32_t)h->origin * (uint32_t)weight_sums[c]);
    const uint32_t sum_of_mean = (uint32_t)tail_of(row_of(differences, rows, K), K)->sum;
    for (int r = 0; r < rows; r++) {
        const uint32_t sum = (uint32_t)tail_of(row_of(differences, r, K), K)->sum + sum_of_mean;
        add_up(sums + r * TQ_PANEL, mean, (int32_t)(0 - 128 * sum), out + r * TQ_PANEL);
    }
    return 1;
}

#endif
