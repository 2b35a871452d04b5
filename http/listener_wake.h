/*
 * Makes civetweb stop at once. Its accepting thread looks at the stop flag only when a connection
 * comes or every two seconds, so while mg_stop() waits, this connects to its port.
 */
#ifndef TALLYD_HTTP_LISTENER_WAKE_H
#define TALLYD_HTTP_LISTENER_WAKE_H

#include <stdint.h>

struct listener_wake;

/* Starts a thread that opens and closes a connection to the port every few milliseconds. `host`, a
 * numeric address, is borrowed until listener_wake_stop(). NULL when it cannot; civetweb then stops
 * a little later. Called by: main. */
struct listener_wake *listener_wake_start(const char *host, uint64_t port);

/* Ends it; NULL does nothing. Called by: main. */
void listener_wake_stop(struct listener_wake *wake);

#endif
