/* isa_amx.c - AMX: 8 tile registers of 16 rows by 64 bytes, and an instruction that multiplies two of them.

   tdpbusd C, A, B adds to 16 x 16 sums of 32 bits the products of 16 rows of 64 codes (A) with 64 inputs of 16
   channels (B: 16 rows, each 16 channels by 4 inputs, as they lie in a panel, 256 bytes apart). These are 16 384
   multiply-adds in 16 cycles.

   A block, 32 rows by 32 channels, keeps 4 tiles as sums (0 .. 3), 2 as codes (4, 5) and 2 as weights (6, 7). A step
   of 64 inputs takes 4 loads of a whole tile for 4 tdpbusd, and a load takes at least 8 cycles: there is little room.

   A last block of 17 .. 31 rows is moved up until it has 32; some rows are then computed twice. Up to 16 rows take
   tiles of as many rows, and up to 5 are left to AVX512-VNNI, because then reading the weights is all the work. */
#define _GNU_SOURCE
#include "tile_avx512vnni.h"
#include "vector.h"

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
    ROWS = 32,
    HALF = 16,      /* rows of one tile register */
    FEW = 5,        /* rows that AVX512-VNNI computes as fast */
    BYTES = 4 * TQ_PANEL,
    STEP = TQ_STEP * TQ_PANEL, /* bytes of a panel from step to step */
};

/* Linux gives a process the 8 KB of tiles only when it asks. */
static int permitted(void) {
#ifdef __linux__
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return 1;
#endif
}

static int supported(void) { return has_amx() && permitted(); }

/* Give the sums and codes `rows` rows, and the weights 16. */
static void configure(int rows) {
    struct { uint8_t palette, start, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shape.bytes[i] = 64;
        shape.rows[i] = (uint8_t)(i < 6 ? rows : HALF);
    }
    __asm__ volatile("" : : "r"(&shape) : "memory"); /* gcc takes only the first bytes of `shape` for read */
    _tile_loadconfig(&shape);
}

static void begin(void) { configure(HALF); }
static void end(void) { _tile_release(); }

/* `tall`: 32 rows instead of 16, the second tile `below` bytes further on; `broad`: 32 channels instead of 16. */
ALWAYS_INLINE void step(const uint8_t *a, int64_t stride, int64_t below, const int8_t *panel, const int tall,
                        const int broad) {
    _tile_loadd(6, panel, BYTES);
    _tile_loadd(4, a, stride);
    _tile_dpbusd(0, 4, 6);
    if (broad) _tile_loadd(7, panel + 64, BYTES);
    if (broad) _tile_dpbusd(1, 4, 7);
    if (tall) _tile_loadd(5, a + below, stride);
    if (tall) _tile_dpbusd(2, 5, 6);
    if (tall && broad) _tile_dpbusd(3, 5, 7);
}

/* below: rows between the first and the second tile. */
ALWAYS_INLINE void block(const uint8_t *a, int64_t stride, int64_t below, const int8_t *panel, int64_t K, int32_t *out,
                         const int tall, const int broad) {
    int32_t *out2 = out + below * TQ_PANEL;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < K; k += TQ_STEP, panel += STEP) step(a + k, stride, below * stride, panel, tall, broad);
    _tile_stored(0, out, 4 * TQ_PANEL);
    if (broad) _tile_stored(1, out + TQ_VECTOR, 4 * TQ_PANEL);
    if (tall) _tile_stored(2, out2, 4 * TQ_PANEL);
    if (tall && broad) _tile_stored(3, out2 + TQ_VECTOR, 4 * TQ_PANEL);
}

static void blocks(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors,
                   int32_t *out) {
    const int64_t below = rows - HALF;
    for (int v = 0; v < vectors; v += 2, panel += 128, out += 2 * TQ_VECTOR) {
        const int broad = v + 1 < vectors;
        if (below > 0 && broad) block(a, stride, below, panel, K, out, 1, 1);
        else if (below > 0) block(a, stride, below, panel, K, out, 1, 0);
        else if (broad) block(a, stride, 0, panel, K, out, 0, 1);
        else block(a, stride, 0, panel, K, out, 0, 0);
    }
}

static void tile(const uint8_t *a, int64_t stride, int rows, const int8_t *panel, int64_t K, int vectors, int fits,
                 int32_t *out) {
    (void)fits; /* tdpbusd adds in 32 bits: nothing saturates */
    if (rows <= FEW) {
        vnni_tile(a, stride, rows, panel, K, vectors, out);
        return;
    }
    if (rows < HALF) configure(rows);
    blocks(a, stride, rows, panel, K, vectors, out);
    if (rows < HALF) configure(HALF);
}

/* 6 tiles of sums; the other two hold codes and weights. */
static double peak(int64_t repeats) {
    enum { SUMS = 6 };
    static const uint8_t zeros[1024];
    begin(); /* once more does no harm */
    _tile_loadd(6, zeros, 64);
    _tile_loadd(7, zeros, 64);
    for (int64_t n = 0; n < repeats; n++) {
        _tile_dpbusd(0, 6, 7);
        _tile_dpbusd(1, 6, 7);
        _tile_dpbusd(2, 6, 7);
        _tile_dpbusd(3, 6, 7);
        _tile_dpbusd(4, 6, 7);
        _tile_dpbusd(5, 6, 7);
    }
    return 2.0 * 16 * 16 * 64 * SUMS * (double)repeats;
}

const tq_isa tq_isa_amx = {
    .name = "amx", .rows = ROWS, .group = 4, .offset = 0, .supported = supported,
    .begin = begin, .end = end, .tile = tile, .peak = peak, TQ_VECTOR_FUNCTIONS
};
