"""What the integration tests stand on: servers, clients and a proxy, under a test's control."""
