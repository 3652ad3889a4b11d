# One image per part: docker build --build-arg PART=operator|gateway|node -t symfed-operator .
# For gpu nodes: docker build --build-arg PART=node --build-arg EXTRAS=node,gpu -t symfed-node-gpu .
# Both stages start from the same image, so that the environment meets the Python it was made for.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# where a machine's own certificate authorities are, if it has any: uv does not look there by itself
ARG SSL_CERT_FILE
WORKDIR /build
COPY requirements.lock pyproject.toml ./
# uv itself comes at the locked version, checked by its hash
RUN python3 -m venv /tools \
 && awk '/^[^ #]/ { wanted = /^uv==/ } wanted' requirements.lock > uv.txt \
 && /tools/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --no-deps -r uv.txt
ARG PART
# the extras of pyproject.toml that go into the image, separated by commas
ARG EXTRAS=${PART}
RUN /tools/bin/uv venv --quiet --python "$(command -v python3)" /opt/venv \
 && /tools/bin/uv pip install --quiet --no-cache --compile-bytecode --python /opt/venv/bin/python \
      --constraint requirements.lock --requirement pyproject.toml \
      $(echo "${EXTRAS}" | tr , '\n' | sed 's/^/--extra /') \
 && cd /opt/venv/lib/python3*/site-packages \
 && rm -rf pyarrow/include pyarrow/src pyarrow/tests pyarrow/*_flight* pyarrow/*_s3* \
      numpy/*/tests scipy/*/tests scipy/*/*/tests \
 && echo /opt/symfed > symfed.pth
# The part itself is a layer of its own: a changed line of it leaves the big layer as it is.
RUN touch README.md
COPY wire wire
COPY operator operator
COPY api api
COPY node node
RUN /tools/bin/uv pip install --quiet --no-cache --compile-bytecode --no-deps --python /opt/venv/bin/python \
      --target /opt/symfed . \
 && case "${PART}" in gateway) own=symfed_api ;; *) own="symfed_${PART}" ;; esac \
 && cd /opt/symfed && for package in symfed_*/; do \
      case "${package%/}" in symfed_wire | "${own}") ;; *) rm -rf "${package}" ;; esac; \
    done \
 && ln -s "symfed-${PART}" bin/part

FROM ${BASE}
ENV PATH=/opt/symfed/bin:/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# cupy would keep what it compiles in the home folder, which no pod may write to
ENV CUPY_CACHE_DIR=/tmp/cupy
# libraries ask for the name of the user that they run as
RUN groupadd --gid 10001 symfed \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir / --shell /usr/sbin/nologin symfed
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/symfed /opt/symfed
USER 10001:10001
ENTRYPOINT ["part"]
