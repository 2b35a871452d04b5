/* GET /devices/{device_id}: the count of one device. */
#ifndef TALLYD_HTTP_DEVICE_H
#define TALLYD_HTTP_DEVICE_H

struct request;

/* Answers 200 with {"device_id", "count"}; 404 for an unknown device; 400 for a text that cannot be
 * a device id; 500 when Redis holds no count there; 503 when Redis is away. Returns the status.
 * Called by: http. */
int device_serve(struct request *request);

#endif
