"""A device that uses none of the product's code: it is born, sends readings over TLS, and one of now for their window.

    device.py HOST CA SITE NAME PASSWORD [CERTIFICATE KEY]

It ends with 0 when all are acknowledged, with 1 when the broker refuses it.
"""

import ssl
import sys
import time

import msgpack
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

MINUTE = 60_000
WITHIN = 60.0


def main(host: str, ca: str, site: str, name: str, password: str, *certificate: str) -> None:
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(*certificate)
    client = Client(CallbackAPIVersion.VERSION2, client_id="whatever", protocol=MQTTv5)
    client.tls_set_context(context)
    if password:
        client.username_pw_set(name, password)
    answers: list[bool] = []
    client.on_connect = lambda *said: answers.append(not said[3].is_failure)
    client.on_disconnect = lambda *_: answers.append(False)
    client.connect(host, 8883)
    client.loop_start()
    deadline = time.monotonic() + WITHIN
    while not answers and time.monotonic() < deadline:
        time.sleep(0.02)
    if not answers or not answers[0]:
        raise SystemExit(1)
    now = time.time_ns() // 1_000_000
    birth = {"state": "online", "type": "freezer", "boot": now, "next": 0, "ts": now}
    status = f"fleet/v1/{site}/{name}/status"
    client.publish(status, msgpack.packb(birth), qos=1, retain=True).wait_for_publish(WITHIN)
    for seq, at in enumerate([now - 3 * MINUTE, now - 3 * MINUTE + 1, now]):
        reading = {"v": 1, "boot": now, "seq": seq, "ts": at, "m": {"temperature": -18.0}}
        sent = client.publish(f"fleet/v1/{site}/{name}/telemetry", msgpack.packb(reading), qos=1)
        sent.wait_for_publish(WITHIN)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
