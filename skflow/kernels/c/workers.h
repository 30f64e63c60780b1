/* Threads that help with the tasks of a call: the caller does them too, and waits for no helper
 * that has not begun. Where there are no POSIX threads, and in a forked process until it has
 * helpers of its own, the caller does all.
 */
#ifndef SKFLOW_WORKERS_H
#define SKFLOW_WORKERS_H

#include <stddef.h>

typedef void (*Task)(void *of, ptrdiff_t index);

#if defined(_WIN32) || defined(__STDC_NO_ATOMICS__)

static void do_tasks(Task task, void *of, ptrdiff_t n_tasks, ptrdiff_t n_threads) {
    (void)n_threads;
    for (ptrdiff_t i = 0; i < n_tasks; i++) task(of, i);
}

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#define MAX_HELPERS 15
#define TURNS 2000 /* of waiting awake, some tens of microseconds: calls come in quick succession */

static struct {
    pthread_mutex_t caller, lock; /* one caller at a time; what is below */
    pthread_cond_t called;
    atomic_long n_calls;
    atomic_long next, n_at_work;
    int is_open, n_helpers, n_wanted;
    Task task;
    void *of;
    ptrdiff_t n_tasks;
} workers = {.caller = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER,
             .called = PTHREAD_COND_INITIALIZER};

static void rest(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void do_what_is_left(Task task, void *of, ptrdiff_t n_tasks) {
    for (;;) {
        long i = atomic_fetch_add(&workers.next, 1);
        if (i >= n_tasks) return;
        task(of, i);
    }
}

static void *help(void *nothing) {
    long known = 0;
    for (;;) {
        for (int turn = 0; turn < TURNS && atomic_load(&workers.n_calls) == known; turn++) rest();
        pthread_mutex_lock(&workers.lock);
        while (atomic_load(&workers.n_calls) == known)
            pthread_cond_wait(&workers.called, &workers.lock);
        known = atomic_load(&workers.n_calls);
        int joins = workers.is_open && atomic_load(&workers.n_at_work) < workers.n_wanted;
        Task task = workers.task;
        void *of = workers.of;
        ptrdiff_t n_tasks = workers.n_tasks;
        if (joins) atomic_fetch_add(&workers.n_at_work, 1);
        pthread_mutex_unlock(&workers.lock);
        if (joins) {
            do_what_is_left(task, of, n_tasks);
            atomic_fetch_sub(&workers.n_at_work, 1);
        }
    }
    return nothing;
}

/* In the child of a fork there are no helpers, and locks may be held by who is not there. */
static void forget_helpers(void) {
    pthread_mutex_init(&workers.caller, NULL);
    pthread_mutex_init(&workers.lock, NULL);
    pthread_cond_init(&workers.called, NULL);
    atomic_store(&workers.n_at_work, 0);
    workers.n_helpers = workers.is_open = 0;
}

static void hire(int n) {
    static atomic_int is_registered;
    if (!atomic_exchange(&is_registered, 1)) pthread_atfork(NULL, NULL, forget_helpers);
    sigset_t all, before; /* signals are for the threads that were there before */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    while (workers.n_helpers < n && pthread_create(&thread, NULL, help, NULL) == 0) {
        pthread_detach(thread);
        workers.n_helpers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Call `task` with every index below `n_tasks`, on up to `n_threads` threads, this one included. */
static void do_tasks(Task task, void *of, ptrdiff_t n_tasks, ptrdiff_t n_threads) {
    ptrdiff_t n_helpers = (n_threads < n_tasks ? n_threads : n_tasks) - 1;
    if (n_helpers > MAX_HELPERS) n_helpers = MAX_HELPERS;
    if (n_helpers < 1 || pthread_mutex_trylock(&workers.caller) != 0) {
        for (ptrdiff_t i = 0; i < n_tasks; i++) task(of, i);
        return;
    }
    hire((int)n_helpers);
    pthread_mutex_lock(&workers.lock);
    workers.task = task;
    workers.of = of;
    workers.n_tasks = n_tasks;
    workers.n_wanted = (int)n_helpers;
    workers.is_open = 1;
    atomic_store(&workers.next, 0);
    atomic_fetch_add(&workers.n_calls, 1);
    pthread_cond_broadcast(&workers.called);
    pthread_mutex_unlock(&workers.lock);
    do_what_is_left(task, of, n_tasks);
    pthread_mutex_lock(&workers.lock);
    workers.is_open = 0;
    pthread_mutex_unlock(&workers.lock);
    for (int turn = 0; atomic_load(&workers.n_at_work) > 0; turn++)
        if (turn < TURNS) rest();
        else sched_yield();
    pthread_mutex_unlock(&workers.caller);
}

#endif
#endif
