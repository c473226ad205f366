/* pages.c - memory for weights, on large pages where the system has them.

   A stack of blocks reads all its weights once in each evaluation. For every page the processor has to look up where it
   lies in memory, and pages have 4 KB: 168 000 of them for DiT-XL/2. Linux gives pages of 2 MB to those who ask, where
   memory begins and ends at a multiple of 2 MB. Weights are smaller than that, or no multiple of it, so they are laid
   side by side in blocks of 128 MB, or in one just large enough where that is too much to ask for. What nobody has
   written to costs no memory, and a block lives as long as one of its weights. */
#define _DEFAULT_SOURCE /* for madvise */
#include "pages.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

enum {
    LINE = 64, /* of the caches */
#if defined(__SANITIZE_ADDRESS__)
    PAGE = LINE,
    BLOCK = LINE, /* each weight by itself, so that whoever reads beyond it is caught */
#else
    PAGE = 2 << 20,
    BLOCK = 128 << 20,
#endif
};

/* It stands at the beginning of its own memory. */
struct tq_block {
    void *memory; /* as malloc gave it */
    int64_t size, used;
    int weights;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static tq_block *open_block; /* the one that is being filled */

static tq_block *new_block(int64_t bytes) {
    const int64_t least = padded(LINE + bytes, PAGE);
    int64_t size = least > BLOCK ? least : BLOCK;
    void *memory = malloc((size_t)(size + PAGE));
    if (!memory) {
        size = least;
        memory = malloc((size_t)(size + PAGE));
    }
    if (!memory) return NULL;
    tq_block *block = (tq_block *)padded((intptr_t)memory, PAGE);
#if defined(MADV_HUGEPAGE)
    madvise(block, (size_t)size, MADV_HUGEPAGE); /* a wish: whether it is granted makes no difference but speed */
#endif
    *block = (tq_block){.memory = memory, .size = size, .used = LINE};
    return block;
}

/* Call it with the lock. */
static void *part_of_block(int64_t bytes) {
    if (!open_block || open_block->size - open_block->used < bytes) {
        open_block = new_block(bytes);
        if (!open_block) return NULL;
    }
    void *part = (char *)open_block + open_block->used;
    open_block->used += bytes;
    open_block->weights++;
    return part;
}

void *tq_take(int64_t bytes, tq_block **block) {
    pthread_mutex_lock(&lock);
    void *part = part_of_block(padded(bytes, LINE));
    *block = open_block;
    pthread_mutex_unlock(&lock);
    return part ? memset(part, 0, (size_t)bytes) : NULL;
}

void tq_give(tq_block *block) {
    pthread_mutex_lock(&lock);
    if (--block->weights == 0) {
        if (block == open_block) open_block = NULL;
        free(block->memory);
    }
    pthread_mutex_unlock(&lock);
}

#if !defined(_WIN32)
/* A process that is forked while another thread holds the lock would never get it: so who forks takes it before. */
static void take_lock(void) { pthread_mutex_lock(&lock); }
static void give_lock(void) { pthread_mutex_unlock(&lock); }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(take_lock, give_lock, give_lock); }
#endif
