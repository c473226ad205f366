/* threads.c - the pool.

   Units of a job are dealt out in order, one stretch to each thread, so that a thread finds the rows in its own cache that
   it wrote in the job before. Who has finished his own stretch helps with the others'.

   A job is open while it has units left. Whoever wants to help joins by adding one to the number of helpers in `state`,
   which succeeds only as long as the job is open. The calling thread works too; when no unit is left it closes the job and
   waits for those who joined. So nobody ever waits for a thread that sleeps or that the system has not run yet. */
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN = 1 << 15, HELPERS = OPEN - 1, SPINS = 4000, ALIGNMENT = 64, SLACK = 128 };

#define ONE_JOB ((uint64_t)1 << 16) /* in state: number of the job, is it open?, helpers */

/* Units next .. end - 1 are still to do. Each on a cache line of its own. */
typedef struct stretch {
    _Alignas(ALIGNMENT) _Atomic int64_t next;
    int64_t end;
} stretch;

static struct {
    _Alignas(ALIGNMENT) _Atomic uint64_t state;
    _Alignas(ALIGNMENT) pthread_mutex_t call;
    pthread_mutex_t sleep;
    pthread_cond_t wake;
    _Atomic int sleepers;
    int started, threads; /* helpers there are; threads of the running call */
    const tq_isa *isa;
    tq_work work;
    const void *job;
    stretch stretches[TQ_MOST_THREADS];
    char *memory[TQ_MEMORIES];
    size_t bytes[TQ_MEMORIES];
} pool = {.call = PTHREAD_MUTEX_INITIALIZER, .sleep = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void pause_a_little(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static int64_t take_unit(stretch *s) {
    if (atomic_load(&s->next) >= s->end) return -1;
    const int64_t unit = atomic_fetch_add(&s->next, 1);
    return unit < s->end ? unit : -1;
}

static void do_units(int thread) {
    int begun = 0;
    for (int i = 0; i < pool.threads; i++) {
        stretch *s = pool.stretches + (thread + i) % pool.threads; /* one's own first */
        for (int64_t unit; (unit = take_unit(s)) >= 0;) {
            if (!begun++) pool.isa->begin();
            pool.work(pool.job, unit, thread);
        }
    }
    if (begun) pool.isa->end();
}

static int is_new(uint64_t state, uint64_t done) { return (state & OPEN) && state / ONE_JOB != done; }

/* Wait for an open job that is not number `done`: a while awake, then asleep. */
static uint64_t new_job(uint64_t done) {
    uint64_t state;
    for (int i = 0; i < SPINS; i++) {
        state = atomic_load(&pool.state);
        if (is_new(state, done)) return state;
        pause_a_little();
    }
    pthread_mutex_lock(&pool.sleep);
    atomic_fetch_add(&pool.sleepers, 1);
    while (state = atomic_load(&pool.state), !is_new(state, done)) pthread_cond_wait(&pool.wake, &pool.sleep);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.sleep);
    return state;
}

static void *helper(void *number) {
    const int thread = (int)(intptr_t)number;
    uint64_t done = 0;
    for (;;) {
        uint64_t state = new_job(done);
        if (!atomic_compare_exchange_strong(&pool.state, &state, state + 1)) continue;
        done = state / ONE_JOB;
        if (thread < pool.threads) do_units(thread);
        atomic_fetch_sub(&pool.state, 1);
    }
    return NULL;
}

static void start_helpers(int threads) {
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (int i = pool.started + 1; i < threads; i++) {
        pthread_t id;
        if (pthread_create(&id, &detached, helper, (void *)(intptr_t)i)) break; /* then with fewer */
        pool.started = i;
    }
    pthread_attr_destroy(&detached);
}

#if !defined(_WIN32)
/* A forked child has the memory of the pool, but none of its threads. */
static void forget_helpers(void) {
    pthread_mutex_init(&pool.call, NULL);
    pthread_mutex_init(&pool.sleep, NULL);
    pthread_cond_init(&pool.wake, NULL);
    atomic_store(&pool.state, 0);
    atomic_store(&pool.sleepers, 0);
    pool.started = 0;
}

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, forget_helpers); }
#endif

void tq_enter(int threads, const tq_isa *isa) {
    pthread_mutex_lock(&pool.call);
    pool.threads = threads < 1 ? 1 : threads > TQ_MOST_THREADS ? TQ_MOST_THREADS : threads;
    pool.isa = isa;
    start_helpers(pool.threads);
}

void tq_leave(void) { pthread_mutex_unlock(&pool.call); }

int tq_threads(void) { return pool.threads; }

void tq_parallel(tq_work work, const void *job, int64_t units) {
    pool.work = work;
    pool.job = job;
    for (int i = 0; i < pool.threads; i++) {
        atomic_store(&pool.stretches[i].next, units * i / pool.threads);
        pool.stretches[i].end = units * (i + 1) / pool.threads;
    }
    if (pool.threads == 1 || units < 2) {
        do_units(0);
        return;
    }
    atomic_store(&pool.state, (atomic_load(&pool.state) / ONE_JOB + 1) * ONE_JOB | OPEN);
    if (atomic_load(&pool.sleepers)) {
        pthread_mutex_lock(&pool.sleep);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.sleep);
    }
    do_units(0);
    atomic_fetch_and(&pool.state, ~(uint64_t)OPEN);
    for (int i = 0; atomic_load(&pool.state) & HELPERS; i++) {
        pause_a_little();
        if (i > SPINS) sched_yield();
    }
}

void *tq_memory(int slot, size_t bytes) {
    if (!pool.memory[slot] || pool.bytes[slot] < bytes) {
        free(pool.memory[slot]);
        pool.memory[slot] = calloc(1, bytes + ALIGNMENT + SLACK);
        pool.bytes[slot] = pool.memory[slot] ? bytes : 0;
        if (!pool.memory[slot]) return NULL;
    }
    const uintptr_t start = (uintptr_t)pool.memory[slot];
    return (void *)((start + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}
