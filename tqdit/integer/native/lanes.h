/* lanes.h - sixteen floats that are worked on together, by the widest registers that the including file's flags allow:
   one of AVX-512, two of AVX2, four of NEON, or an array. Each operation rounds as IEEE says, so all give the same bits. */
#ifndef TQDIT_LANES_H
#define TQDIT_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16, GUESS = 0x7ef311c7 };

#define MAGIC 12582912.0f /* 1.5 2^23 */

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#include <immintrin.h>

typedef __m512 lanes;
typedef __m512i whole; /* sixteen int32 */

INLINE lanes all(float v) { return _mm512_set1_ps(v); }
INLINE lanes load_lanes(const float *p) { return _mm512_loadu_ps(p); }
INLINE void store_lanes(float *p, lanes a) { _mm512_storeu_ps(p, a); }
INLINE lanes add(lanes a, lanes b) { return _mm512_add_ps(a, b); }
INLINE lanes sub(lanes a, lanes b) { return _mm512_sub_ps(a, b); }
INLINE lanes mul(lanes a, lanes b) { return _mm512_mul_ps(a, b); }
INLINE lanes fused(lanes a, lanes b, lanes c) { return _mm512_fmadd_ps(a, b, c); }
INLINE lanes minus_fused(lanes a, lanes b, lanes c) { return _mm512_fnmadd_ps(a, b, c); } /* c - a b */
INLINE lanes larger(lanes a, lanes b) { return _mm512_max_ps(a, b); }
INLINE lanes smaller(lanes a, lanes b) { return _mm512_min_ps(a, b); }
INLINE whole load_whole(const int32_t *p) { return _mm512_loadu_si512(p); }
INLINE whole less(whole a, whole b) { return _mm512_sub_epi32(a, b); }
INLINE lanes to_floats(whole a) { return _mm512_cvtepi32_ps(a); }
INLINE lanes times_power(lanes a, lanes n) { /* adds the low bits of n to the exponents of a */
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32(_mm512_castps_si512(n), 23)));
}
INLINE lanes guess_inverse(lanes a) { /* 1/a, 12 % off at most */
    return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32(GUESS), _mm512_castps_si512(a)));
}
INLINE void store_low_bytes(uint8_t *p, lanes a, int zero) { /* the lowest byte of each lane's bits, plus zero */
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_castps_si512(a));
    _mm_storeu_si128((__m128i *)p, _mm_add_epi8(bytes, _mm_set1_epi8((char)zero)));
}

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

typedef struct lanes { __m256 a, b; } lanes;
typedef struct whole { __m256i a, b; } whole;

INLINE lanes all(float v) { return (lanes){_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
INLINE lanes load_lanes(const float *p) { return (lanes){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void store_lanes(float *p, lanes a) { _mm256_storeu_ps(p, a.a), _mm256_storeu_ps(p + 8, a.b); }
INLINE lanes add(lanes a, lanes b) { return (lanes){_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)}; }
INLINE lanes sub(lanes a, lanes b) { return (lanes){_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)}; }
INLINE lanes mul(lanes a, lanes b) { return (lanes){_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
INLINE lanes fused(lanes a, lanes b, lanes c) {
    return (lanes){_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}
INLINE lanes minus_fused(lanes a, lanes b, lanes c) {
    return (lanes){_mm256_fnmadd_ps(a.a, b.a, c.a), _mm256_fnmadd_ps(a.b, b.b, c.b)};
}
INLINE lanes larger(lanes a, lanes b) { return (lanes){_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b)}; }
INLINE lanes smaller(lanes a, lanes b) { return (lanes){_mm256_min_ps(a.a, b.a), _mm256_min_ps(a.b, b.b)}; }
INLINE whole load_whole(const int32_t *p) {
    return (whole){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 8))};
}
INLINE whole less(whole a, whole b) { return (whole){_mm256_sub_epi32(a.a, b.a), _mm256_sub_epi32(a.b, b.b)}; }
INLINE lanes to_floats(whole a) { return (lanes){_mm256_cvtepi32_ps(a.a), _mm256_cvtepi32_ps(a.b)}; }
INLINE __m256 half_times_power(__m256 a, __m256 n) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_castps_si256(n), 23)));
}
INLINE lanes times_power(lanes a, lanes n) {
    return (lanes){half_times_power(a.a, n.a), half_times_power(a.b, n.b)};
}
INLINE __m256 half_guess(__m256 a) {
    return _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_set1_epi32(GUESS), _mm256_castps_si256(a)));
}
INLINE lanes guess_inverse(lanes a) { return (lanes){half_guess(a.a), half_guess(a.b)}; }
INLINE void store_low_bytes(uint8_t *p, lanes a, int zero) {
    const __m256i low = _mm256_set1_epi32(255);
    const __m256i first = _mm256_and_si256(_mm256_castps_si256(a.a), low);
    const __m256i second = _mm256_and_si256(_mm256_castps_si256(a.b), low);
    const __m256i pairs = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8); /* in order again */
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    _mm_storeu_si128((__m128i *)p, _mm_add_epi8(bytes, _mm_set1_epi8((char)zero)));
}

#elif defined(__aarch64__)
#include <arm_neon.h>

typedef struct lanes { float32x4_t v[4]; } lanes;
typedef struct whole { int32x4_t v[4]; } whole;

#define EACH for (int i = 0; i < 4; i++)
#define TO_EACH(type, value) type r; EACH r.v[i] = value; return r

INLINE lanes all(float v) { TO_EACH(lanes, vdupq_n_f32(v)); }
INLINE lanes load_lanes(const float *p) { TO_EACH(lanes, vld1q_f32(p + 4 * i)); }
INLINE void store_lanes(float *p, lanes a) { EACH vst1q_f32(p + 4 * i, a.v[i]); }
INLINE lanes add(lanes a, lanes b) { TO_EACH(lanes, vaddq_f32(a.v[i], b.v[i])); }
INLINE lanes sub(lanes a, lanes b) { TO_EACH(lanes, vsubq_f32(a.v[i], b.v[i])); }
INLINE lanes mul(lanes a, lanes b) { TO_EACH(lanes, vmulq_f32(a.v[i], b.v[i])); }
INLINE lanes fused(lanes a, lanes b, lanes c) { TO_EACH(lanes, vfmaq_f32(c.v[i], a.v[i], b.v[i])); }
INLINE lanes minus_fused(lanes a, lanes b, lanes c) { TO_EACH(lanes, vfmsq_f32(c.v[i], a.v[i], b.v[i])); }
/* Not vmaxq_f32, which makes NaN of NaN where x86 takes the second operand. */
INLINE lanes larger(lanes a, lanes b) { TO_EACH(lanes, vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i])); }
INLINE lanes smaller(lanes a, lanes b) { TO_EACH(lanes, vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i])); }
INLINE whole load_whole(const int32_t *p) { TO_EACH(whole, vld1q_s32(p + 4 * i)); }
INLINE whole less(whole a, whole b) { TO_EACH(whole, vsubq_s32(a.v[i], b.v[i])); }
INLINE lanes to_floats(whole a) { TO_EACH(lanes, vcvtq_f32_s32(a.v[i])); }
INLINE lanes times_power(lanes a, lanes n) {
    TO_EACH(lanes, vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a.v[i]),
                                                   vshlq_n_s32(vreinterpretq_s32_f32(n.v[i]), 23))));
}
INLINE lanes guess_inverse(lanes a) {
    TO_EACH(lanes, vreinterpretq_f32_s32(vsubq_s32(vdupq_n_s32(GUESS), vreinterpretq_s32_f32(a.v[i]))));
}
INLINE void store_low_bytes(uint8_t *p, lanes a, int zero) {
    uint16x4_t h[4];
    EACH h[i] = vmovn_u32(vreinterpretq_u32_f32(a.v[i]));
    const uint8x16_t bytes = vcombine_u8(vmovn_u16(vcombine_u16(h[0], h[1])), vmovn_u16(vcombine_u16(h[2], h[3])));
    vst1q_u8(p, vaddq_u8(bytes, vdupq_n_u8((uint8_t)zero)));
}

#else

typedef struct lanes { float v[LANES]; } lanes;
typedef struct whole { int32_t v[LANES]; } whole;

#define EACH for (int i = 0; i < LANES; i++)
#define TO_EACH(type, value) type r; EACH r.v[i] = value; return r

INLINE lanes all(float v) { TO_EACH(lanes, v); }
INLINE lanes load_lanes(const float *p) { TO_EACH(lanes, p[i]); }
INLINE void store_lanes(float *p, lanes a) { EACH p[i] = a.v[i]; }
INLINE lanes add(lanes a, lanes b) { TO_EACH(lanes, a.v[i] + b.v[i]); }
INLINE lanes sub(lanes a, lanes b) { TO_EACH(lanes, a.v[i] - b.v[i]); }
INLINE lanes mul(lanes a, lanes b) { TO_EACH(lanes, a.v[i] * b.v[i]); }
INLINE lanes fused(lanes a, lanes b, lanes c) { TO_EACH(lanes, fmaf(a.v[i], b.v[i], c.v[i])); }
INLINE lanes minus_fused(lanes a, lanes b, lanes c) { TO_EACH(lanes, fmaf(-a.v[i], b.v[i], c.v[i])); }
INLINE lanes larger(lanes a, lanes b) { TO_EACH(lanes, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
INLINE lanes smaller(lanes a, lanes b) { TO_EACH(lanes, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
INLINE whole load_whole(const int32_t *p) { TO_EACH(whole, p[i]); }
INLINE whole less(whole a, whole b) { TO_EACH(whole, (int32_t)((uint32_t)a.v[i] - (uint32_t)b.v[i])); }
INLINE lanes to_floats(whole a) { TO_EACH(lanes, (float)a.v[i]); }
INLINE uint32_t bits_of(float a) {
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
INLINE float from_bits(uint32_t bits) {
    float a;
    memcpy(&a, &bits, sizeof a);
    return a;
}
INLINE lanes times_power(lanes a, lanes n) { TO_EACH(lanes, from_bits(bits_of(a.v[i]) + (bits_of(n.v[i]) << 23))); }
INLINE lanes guess_inverse(lanes a) { TO_EACH(lanes, from_bits(GUESS - bits_of(a.v[i]))); }
INLINE void store_low_bytes(uint8_t *p, lanes a, int zero) { EACH p[i] = (uint8_t)(bits_of(a.v[i]) + (uint32_t)zero); }

#endif

/* Fewer than sixteen: the others are `rest`, and are not stored. */
INLINE lanes load_some(const float *p, int64_t n, float rest) {
    float v[LANES];
    for (int i = 0; i < LANES; i++) v[i] = i < n ? p[i] : rest;
    return load_lanes(v);
}
INLINE lanes load_up_to(const float *p, int64_t n, float rest) { return n < LANES ? load_some(p, n, rest) : load_lanes(p); }

INLINE void store_up_to(float *p, lanes a, int64_t n) {
    if (n >= LANES) {
        store_lanes(p, a);
        return;
    }
    float v[LANES];
    store_lanes(v, a);
    memcpy(p, v, sizeof(float) * (size_t)n);
}

INLINE void store_low_bytes_up_to(uint8_t *p, lanes a, int zero, int64_t n) {
    if (n >= LANES) {
        store_low_bytes(p, a, zero);
        return;
    }
    uint8_t v[LANES];
    store_low_bytes(v, a, zero);
    memcpy(p, v, (size_t)n);
}

/* The sum and the largest of all lanes, in one order everywhere: halves are combined with halves. */
#if defined(__AVX2__) && defined(__FMA__)
#if defined(__AVX512F__)
INLINE __m256 low_half(lanes a) { return _mm512_castps512_ps256(a); }
INLINE __m256 high_half(lanes a) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1)); }
#else
INLINE __m256 low_half(lanes a) { return a.a; }
INLINE __m256 high_half(lanes a) { return a.b; }
#endif
INLINE float sum_of_lanes(lanes a) {
    const __m256 eight = _mm256_add_ps(low_half(a), high_half(a));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
INLINE float largest_of_lanes(lanes a) {
    const __m256 eight = _mm256_max_ps(low_half(a), high_half(a));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
#else
INLINE float sum_of_lanes(lanes a) {
    float s[LANES];
    store_lanes(s, a);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}
INLINE float largest_of_lanes(lanes a) {
    float s[LANES];
    store_lanes(s, a);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++) s[i] = s[i] > s[i + width] ? s[i] : s[i + width];
    return s[0];
}
#endif

/* The nearest whole number, ties to even, for |v| < 2^22. With MAGIC added, floats are whole numbers, which stand in the
   lowest bits. */
INLINE lanes nearest(lanes v) { return sub(add(v, all(MAGIC)), all(MAGIC)); }

/* Long chains of operations, each of which waits for the one before: processors are only busy with them if several chains
   run side by side. So these work on ABREAST vectors together, operation by operation. */
#if defined(__AVX512F__)
enum { ABREAST = 4 };
#else
enum { ABREAST = 2 };
#endif

#define ALL_OF(n) _Pragma("GCC unroll 4") for (int i = 0; i < (n); i++)

/* e^x for x in -86 .. 60, and the value at the nearer end beyond; 2e-7 of the result off at most. It is 2^n e^r with a
   polynomial for e^r, r in [-ln 2 / 2, ln 2 / 2], whose largest relative error is as small as that of degree 5 can be. */
INLINE void exponentials(lanes *x, const int n) {
    static const float c[] = {0.0419156291f, 0.166675761f, 0.499988914f, 0.999999702f, 1.00000012f};
    lanes t[ABREAST], r[ABREAST], p[ABREAST];
    ALL_OF(n) x[i] = smaller(larger(x[i], all(-86.0f)), all(60.0f));
    ALL_OF(n) t[i] = fused(x[i], all(1.44269504f), all(MAGIC));
    ALL_OF(n) p[i] = sub(t[i], all(MAGIC));
    ALL_OF(n) r[i] = fused(p[i], all(-0.693145752f), x[i]); /* ln 2 in two parts */
    ALL_OF(n) r[i] = fused(p[i], all(-1.42860677e-6f), r[i]);
    ALL_OF(n) p[i] = fused(r[i], all(0.00829761941f), all(c[0]));
    ALL_OF(n) p[i] = fused(r[i], p[i], all(c[1]));
    ALL_OF(n) p[i] = fused(r[i], p[i], all(c[2]));
    ALL_OF(n) p[i] = fused(r[i], p[i], all(c[3]));
    ALL_OF(n) p[i] = fused(r[i], p[i], all(c[4]));
    ALL_OF(n) x[i] = times_power(p[i], t[i]);
}

/* 1/a for a in 1 .. 1e30, by Newton's method: each step squares the error. Division would take longer. */
INLINE void inverses(lanes *a, const int n) {
    lanes y[ABREAST], e[ABREAST];
    ALL_OF(n) y[i] = guess_inverse(a[i]);
    for (int step = 0; step < 3; step++) {
        ALL_OF(n) e[i] = minus_fused(a[i], y[i], all(1));
        ALL_OF(n) y[i] = fused(y[i], e[i], y[i]);
    }
    ALL_OF(n) a[i] = y[i];
}

INLINE lanes exponential(lanes x) {
    exponentials(&x, 1);
    return x;
}

#endif
