/*
 * Makes civetweb stop at once. Its accepting thread looks at the stop flag only when a connection
 * comes or every two seconds, so while mg_stop() waits, this knocks at the door.
 */
#ifndef TALLYD_HTTP_KNOCK_H
#define TALLYD_HTTP_KNOCK_H

#include <stdint.h>

struct knock;

/* Starts a thread that opens and closes a connection to the port every few milliseconds. `host`, a
 * numeric address, is borrowed until knock_stop(). NULL when it cannot; civetweb then stops a
 * little later. Called by: main. */
struct knock *knock_start(const char *host, uint64_t port);

/* Ends it; NULL does nothing. Called by: main. */
void knock_stop(struct knock *knock);

#endif
