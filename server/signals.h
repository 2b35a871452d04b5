/* The signals that main acts on, through a descriptor: SIGTERM and SIGINT, which end tallyd, and
 * SIGHUP, which makes it read its configuration again. Thread: main. */
#ifndef TALLYD_SERVER_SIGNALS_H
#define TALLYD_SERVER_SIGNALS_H

#include "common/compiler.h"

/* Blocks them, before any thread starts, so that no thread can be interrupted by them; SIGPIPE is
 * ignored. Returns a signalfd that does not block, which the caller closes, or a negative errno. */
int signals_open(void) MUST_CHECK;

/* Takes the next one that came. Returns its number, or 0 when none waits. */
int signals_take(int fd);

/* The same, but a SIGHUP is passed over, and the log says so: for when tallyd is about to end. */
int signals_take_end(int fd);

#endif
