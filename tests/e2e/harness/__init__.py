"""What the tests stand on: processes, the gateway, the Collector, and spans in comparable form."""
