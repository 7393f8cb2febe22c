#include "engine/source_signal.h"

#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*signal_wake)(void *context);
static void *signal_context;

void source_signal_install(void (*wake)(void *context), void *context)
{
    pthread_mutex_lock(&signal_lock);
    signal_wake = wake;
    signal_context = context;
    pthread_mutex_unlock(&signal_lock);
}

void source_signal(void)
{
    /* Held during the call, so that after an install of NULL nobody rings the old ear any more. */
    pthread_mutex_lock(&signal_lock);
    if (signal_wake)
        signal_wake(signal_context);
    pthread_mutex_unlock(&signal_lock);
}
