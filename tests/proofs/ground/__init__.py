"""What proofs share: fleets, gateways, proxies, failpoints, judging."""
