/*
 * notify.h - the two things a service manager and a daemon say to each other
 * (sd_notify(3), sd_listen_fds(3)), without a library.
 *
 * Thread: the main thread, at start and stop.
 */
#pragma once

#include <stdbool.h>

/* Sends "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=..." to the manager that started us; nothing happens
 * without one. */
void notify_send(const char *state);

/* The first listening stream socket handed over by the manager, 0 without one. Takes the variables out of the
 * environment, so that no child believes they are its own. */
int notify_listen_fd(void);
