/* threads.h - a small pool of threads. It is one for the whole process; calls take turns. */
#ifndef TQDIT_THREADS_H
#define TQDIT_THREADS_H

#include <stddef.h>
#include <stdint.h>

#include "isa.h"

enum { TQ_MOST_THREADS = 256, TQ_MEMORIES = TQ_MOST_THREADS + 2 };

/* One unit of a job, done by thread number `thread`, 0 .. threads - 1. Units may be done in any order. */
typedef void (*tq_work)(const void *job, int64_t unit, int thread);

/* Only between these two may the functions below be called. */
void tq_enter(int threads, const tq_isa *isa);
void tq_leave(void);

/* Do units 0 .. units - 1, and return when all are done. */
void tq_parallel(tq_work work, const void *job, int64_t units);

int tq_threads(void); /* how many the running call may use */

/* Memory of the pool that is kept from call to call: NULL, if there is not enough. Aligned to 64 bytes, and 128 bytes
   longer than asked for, zeros when new. Slot 0 is for the rows of a call, slot 1 + t for thread t, the last one for
   panels of keys and values, or for what the rows of a product differ in: for one step of a call at a time. */
void *tq_memory(int slot, size_t bytes);

#endif
