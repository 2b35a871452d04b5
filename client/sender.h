/*
 * A run: opens the connections, lays the packets out over streams, keeps the rate, and notes what
 * comes of every stream. One thread, one epoll set.
 */
#ifndef TALLYD_CLIENT_SENDER_H
#define TALLYD_CLIENT_SENDER_H

#include "client/credentials.h"
#include "client/device_totals.h"
#include "client/generator.h"
#include "client/report.h"
#include "client/send_options.h"
#include "common/compiler.h"

/* Sends what `options` say and waits for the Acks. To replay, `generator` must have a period; its
 * packets are rendered before the run begins. `report` is zeroed; `totals` may be NULL.
 * Returns 0 when the run took place, however it ended: `report` tells. Returns a negative errno
 * when it could not begin (ENOMEM, EMFILE). While it runs, SIGINT and SIGTERM end it early. */
int sender_run(const struct send_options *options, const struct credentials *credentials,
               const struct generator *generator, struct report *report,
               struct device_totals *totals) MUST_CHECK;

#endif
