"""What the proofs stand on: a field of devices and gateways, proxies, failpoints, judgement."""
