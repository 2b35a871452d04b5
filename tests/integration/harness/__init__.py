"""What the integration tests stand on: servers, clients and a proxy, each under a test's control."""
