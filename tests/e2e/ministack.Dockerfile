# AWS for the end-to-end tests: ministack, and boto3 to prepare accounts in it.
ARG BASE=python:3.13-slim
FROM ${BASE}
ARG SSL_CERT_FILE
WORKDIR /build
COPY requirements.lock ./
RUN python3 -m venv /tools \
 && awk '/^[^ #]/ { wanted = /^uv==/ } wanted' requirements.lock > uv.txt \
 && /tools/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --no-deps -r uv.txt \
 && /tools/bin/uv venv --quiet --python "$(command -v python3)" /opt/venv \
 && /tools/bin/uv pip install --quiet --no-cache --python /opt/venv/bin/python --constraint requirements.lock \
      boto3 ministack
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp TMPDIR=/tmp
USER 10001:10001
ENTRYPOINT ["ministack"]
