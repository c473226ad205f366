/* pages.h - memory for weights, on large pages where the system has them. */
#ifndef TQDIT_PAGES_H
#define TQDIT_PAGES_H

#include <stdint.h>

#include "isa.h"

typedef struct tq_block tq_block; /* memory that several weights share */

/* `bytes` zeros that begin at a cache line, and in `block` what they are a part of. NULL, if there is not enough. Any
   thread may ask. */
void *tq_take(int64_t bytes, tq_block **block);

/* One of the weights in a block is no longer needed. */
void tq_give(tq_block *block);

#endif
