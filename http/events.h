/*
 * GET /events: server-sent events (WHATWG HTML, section 9.2). A thread renders the events once a
 * second for all listeners, and only while there are any; each listener's HTTP thread sends them.
 *
 *     history  once, first: the rates of the last minutes
 *     summary  each second: the summary, and the pipeline
 *     top      each second: the busiest devices; all to a new listener, then what changed
 */
#ifndef TALLYD_HTTP_EVENTS_H
#define TALLYD_HTTP_EVENTS_H

#include "common/compiler.h"

#include <stddef.h>

/* Listeners at once; each holds a thread of civetweb's. */
#define EVENTS_MAX_LISTENERS 64

struct events;
struct http_shared;
struct request;

/* Starts the rendering thread. `shared` is borrowed, and must outlive it with all that it names.
 * NULL with errno. Called by: main. */
struct events *events_create(const struct http_shared *shared) MUST_CHECK;

/* Ends all listeners' answers, and lets no more in. Does not wait. Called by: main. */
void events_stop(struct events *events);

/* Stops, ends the thread and frees all. Nobody may be in events_serve() any more; the reader must
 * still be there. NULL does nothing. Called by: main. */
void events_destroy(struct events *events);

/* Listeners now. Called by: http. */
size_t events_listeners(struct events *events);

/* Serves one listener until it goes, takes nothing for as long as civetweb waits with a write, or
 * the server stops; 503 when there are too many. Returns the status. Called by: http. */
int events_serve(struct request *request);

#endif
