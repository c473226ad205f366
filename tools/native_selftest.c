/* native_selftest.c - prove every instruction set of the native library that this processor has; tools/arm_native.sh
   runs it. One line for each: its name, and `ok`, `absent` or what differs. Fails if anything differs. */
#include <stdio.h>
#include <string.h>

#include "tqdit_native.h"

enum { ROWS = 37, INPUTS = 200, OUTPUTS = 70 };

/* The driver around the tiles: a product of odd shape, on two threads; its sums are whole numbers below 2^24. */
static const char *product_differs(int number) {
    static uint8_t codes[ROWS * INPUTS];
    static int8_t weights[OUTPUTS * INPUTS];
    static float scale[OUTPUTS], y[ROWS * OUTPUTS];
    for (uint32_t i = 0; i < ROWS * INPUTS; i++) codes[i] = (uint8_t)(i * 2654435761u >> 13);
    for (uint32_t i = 0; i < OUTPUTS * INPUTS; i++) weights[i] = (int8_t)(i * 2246822519u >> 11);
    for (int c = 0; c < OUTPUTS; c++) scale[c] = 1.0f;
    tq_weight *packed = tq_choose(number) ? NULL : tq_pack(weights, OUTPUTS, INPUTS);
    if (!packed) return tq_error();
    const tq_linear call = {.weight = packed, .scale = scale, .codes = {codes}, .rows = ROWS, .regions = 1,
                            .threads = 2, .factor = {1.0f}, .zero = {100}, .top = {255}, .y = y};
    const char *problem = tq_multiply_floats(&call) ? tq_error() : NULL;
    tq_free(packed);
    for (int r = 0; r < ROWS && !problem; r++)
        for (int c = 0; c < OUTPUTS; c++) {
            int32_t sum = 0;
            for (int k = 0; k < INPUTS; k++) sum += (codes[r * INPUTS + k] - 100) * weights[c * INPUTS + k];
            if ((float)sum != y[r * OUTPUTS + c]) problem = "a product of odd shape differs";
        }
    return problem;
}

int main(void) {
    int failed = 0;
    for (int i = 0; tq_isa_name(i); i++) {
        const char *problem = NULL;
        if (tq_supported(i)) {
            problem = tq_prove(i);
            if (!problem) problem = product_differs(i);
        }
        printf("%s %s\n", tq_isa_name(i), !tq_supported(i) ? "absent" : problem ? problem : "ok");
        failed |= problem != NULL;
    }
    return failed;
}
