/* tqdit_native.h - the library's face: a C ABI of plain structs and pointers, without Python and without torch.

   Functions that can fail return 0 or a pointer when all is well, and otherwise -1 or NULL; tq_error() then says why, in
   one line. A call that computes uses up to `threads` threads, this one included. Calls from several threads wait for
   one another. */
#ifndef TQDIT_NATIVE_H
#define TQDIT_NATIVE_H

#include <stdint.h>

#if defined(_WIN32)
#define TQ_API __declspec(dllexport)
#else
#define TQ_API __attribute__((visibility("default")))
#endif

#define TQ_VERSION 1 /* of everything in this file; whoever loads the library compares it */

/* How floats become bytes: u = min(max(round(x inverse) + zero, lo), hi), 0 <= lo <= hi <= 255. */
typedef struct tq_grid {
    float inverse, zero, lo, hi;
} tq_grid;

/* Columns first .. last - 1 of a product become codes of x factor, in one or two regions. */
typedef struct tq_segment {
    int64_t first, last;
    float factor;
    int32_t regions;
    tq_grid grid[2];
} tq_segment;

typedef struct tq_weight tq_weight;

/* ---- the library and the machine ---- */
TQ_API int tq_version(void);
TQ_API int64_t tq_size(int kind); /* bytes of a tq_linear (0), tq_step (1), tq_call (2): whoever loads it compares */
TQ_API const char *tq_error(void);
TQ_API const char *tq_isa_name(int number); /* name of an instruction set, the plainest first; NULL after the last */
TQ_API int tq_supported(int number);        /* has this processor got it? */
TQ_API const char *tq_prove(int number);    /* NULL, or what it computes otherwise than plain C */
TQ_API int tq_choose(int number);           /* let all calls use it */
TQ_API int tq_chosen(void);                 /* its number */
TQ_API double tq_peak(int threads, double seconds); /* operations a second, registers only */

/* ---- weights ---- */
TQ_API tq_weight *tq_pack(const int8_t *codes, int64_t out, int64_t in);
TQ_API int tq_unpack(const tq_weight *weight, int8_t *codes);
TQ_API int64_t tq_bytes(const tq_weight *weight);
TQ_API void tq_free(tq_weight *weight);

/* ---- single products ----
   y[r][c] = (s0 s_w sum (q0 - z0) w + b) + s1 s_w sum (q1 - z1) w: float32 (rows, out).
   Either `x` is given, rows of floats that become codes by `grid`, or the codes themselves. */
typedef struct tq_linear {
    const tq_weight *weight;
    const float *scale, *bias; /* (out,); bias may be NULL */
    const float *x;            /* (rows, in), or NULL */
    const uint8_t *codes[2];   /* (rows, in), where x is NULL */
    int64_t rows;
    int32_t regions, threads;
    tq_grid grid[2];
    float factor[2];
    int32_t zero[2];
    int32_t top[2];             /* the largest code that can occur */
    const float *row_factor[2]; /* (rows,), or NULL */
    const int32_t *row_zero[2]; /* beside it */
    float *y;
} tq_linear;

TQ_API int tq_multiply_floats(const tq_linear *call);


/* ---- a whole stack of layers ---- */
enum { TQ_NORM, TQ_QUANTIZE, TQ_LINEAR, TQ_ATTENTION }; /* kinds of a step */

/* Rows that steps read and write; those without data lie in the library's own memory while a call runs. */
typedef struct tq_buffer {
    void *data;           /* or NULL */
    int64_t row_bytes;    /* bytes from row to row */
    int64_t image_rows;   /* rows of one image: its tokens, or 1 */
} tq_buffer;

/* Where something stands: a buffer, and the first byte in each of its rows. -1: nowhere. */
typedef struct tq_place {
    int64_t buffer, offset;
} tq_place;

/* One step. Fields that a kind does not name are not looked at. */
typedef struct tq_step {
    int32_t kind;
    int32_t finish;       /* LINEAR: TQ_STORE 0, TQ_GATE 1, TQ_CODES 2 */
    int32_t regions;      /* of the input's codes; NORM and QUANTIZE: of the output's */
    int32_t digits;       /* 1: regions are the digits of 14-bit codes; QUANTIZE: make such digits; 2: of SiLU(x) */
    int32_t gelu;         /* LINEAR: apply GELU before the last step */
    int32_t measured;     /* NORM, QUANTIZE: find scale and zero-point of each row, for codes 0 .. measured */
    int64_t width;        /* channels: of a row that is normed or quantized, of one head */

    tq_place in, in2;     /* floats, or codes of each region; ATTENTION: queries */
    tq_place out, out2;   /* floats, or codes of each region */
    tq_place shift, scale_row, gate; /* rows of floats, one for each image */
    tq_place row_factor, row_zero;   /* of each row: written where measured, read by LINEAR; one for all regions */
    tq_place addend;      /* LINEAR: floats added before GELU */

    float eps;            /* NORM */
    float inverse;        /* QUANTIZE, of digits */
    tq_grid grid[2];      /* NORM and QUANTIZE; ATTENTION: of probabilities and of the output */

    const tq_weight *weight;   /* LINEAR */
    const float *scale, *bias; /* (out,) */
    float factor[2];           /* scales of the input's regions; ATTENTION: s_q s_k and s_p s_v */
    int32_t zero[2];           /* their zero-points */
    int32_t top[2];            /* their largest codes */
    const float *position_factor; /* a factor for each row of an image, instead; or NULL */
    const int32_t *position_zero;
    const tq_segment *segments;
    int64_t segment_count;

    int64_t heads;             /* ATTENTION */
    tq_place keys, values;     /* codes */
    int32_t key_zero, value_zero;
    int32_t stacked;           /* probabilities in two regions: q = low + ratio high */
    int32_t border;            /* codes of the lower one are 0 .. border - 1 */
    int32_t highest, ratio;    /* the largest high code; the scale of the upper region in steps of the lower */
    float high_inverse;        /* one over the scale of the upper region */
} tq_step;

typedef struct tq_call {
    const tq_step *steps;
    int64_t step_count;
    const tq_buffer *buffers;
    int64_t buffer_count;
    int64_t images;
    int32_t threads;
    int32_t reserved;
    double *seconds;      /* gets how long each step took, (step_count,), or NULL */
    int (*stop)(void); /* asked between steps, from the calling thread; anything but 0 ends the call; or NULL */
} tq_call;

/* Run all steps. Returns 0, -1, or 1 where `stop` ended it. */
TQ_API int tq_run(const tq_call *call);

#endif
