/*
 * Tells the service manager how tallyd is: systemd's protocol, sd_notify(3), which is a datagram of
 * "NAME=value" lines to the socket that NOTIFY_SOCKET names. Without that variable nothing is told.
 * Thread: main.
 */
#ifndef TALLYD_SERVER_NOTIFY_H
#define TALLYD_SERVER_NOTIFY_H

#include <stdint.h>

/* It serves; it begins to read its configuration again, and notify_ready() follows; it stops. */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* It is alive; or it is not, and the manager is told `why`, one line, instead of that. */
void notify_alive(void);
void notify_trouble(const char *why);

/* Within how many milliseconds the manager must hear notify_alive() again and again, or it restarts
 * the service: WATCHDOG_USEC, if that is meant for this process. 0: it does not wait for it. */
uint64_t notify_watchdog_ms(void);

#endif
