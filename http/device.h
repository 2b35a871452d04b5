/* GET /devices/{device_id}: the count of one device. */
#ifndef TALLYD_HTTP_DEVICE_H
#define TALLYD_HTTP_DEVICE_H

struct request;

/* Answers 200 with {"device_id", "count"}; 404 for an unknown device; 400 for a text that cannot be
 * a device id; 500 when Redis holds no count there. With Redis away it tells the count in the last
 * snapshot, marked stale, or 503 when there is none with that device. Returns the status.
 * Called by: http. */
int device_serve(struct request *request);

#endif
