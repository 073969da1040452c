# Gateway and simulator in one image; compose.yaml runs both from it.

FROM python:3.13-slim-bookworm AS build
WORKDIR /build
# The dependencies are a layer of their own, which a change of the code leaves alone. Hashes are checked.
COPY requirements.lock ./
RUN python -m venv /opt/edge-fleet \
 && /opt/edge-fleet/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY broker broker
COPY influx influx
COPY rules rules
COPY fleet_wire fleet_wire
COPY fleet_config fleet_config
COPY fleet_console fleet_console
COPY fleet_recordings fleet_recordings
COPY edge_gateway edge_gateway
COPY fleet_sim fleet_sim
RUN /opt/edge-fleet/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.13-slim-bookworm
COPY --from=build /opt/edge-fleet /opt/edge-fleet
ENV PATH=/opt/edge-fleet/bin:$PATH PYTHONUNBUFFERED=1
# A user of its own; the spool is the only directory it writes to, and outlives the container as a volume.
RUN useradd --system --uid 10001 --home-dir /var/lib/edge-gateway --create-home edge
USER edge
WORKDIR /var/lib/edge-gateway
VOLUME /var/lib/edge-gateway
# The gateway's own answer, which is "unwell" when commits or rules stand still, not only when it is gone.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", \
 "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
# SIGTERM ends it in order, in at most the gateway's own drain deadline.
STOPSIGNAL SIGTERM
ENTRYPOINT []
CMD ["edge-gateway", "run"]
