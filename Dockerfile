# One image for all: the command says which part it is, such as `python -m cairn.issuance api`.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_NO_CACHE=1 UV_NO_INSTALLER_METADATA=1 UV_SYSTEM_CERTS=1
WORKDIR /src
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils
# What comes from outside, first and apart: it changes seldom. Every file must have its hash in the lock.
COPY requirements.lock pyproject.toml ./
COPY dev/requirements.py dev/
COPY libs/common/pyproject.toml libs/common/
COPY libs/credentials/pyproject.toml libs/credentials/
COPY services/issuance/pyproject.toml services/issuance/
COPY services/pathways/pyproject.toml services/pathways/
COPY services/verification/pyproject.toml services/verification/
RUN python -m venv /tools && python -m venv --without-pip /opt/cairn \
 && sed -n '/^uv==/,/[^\\]$/p' requirements.lock > /tmp/uv.txt \
 && /tools/bin/pip install --quiet --no-deps --require-hashes -r /tmp/uv.txt \
 && python dev/requirements.py pinned build > /tmp/build.txt \
 && python dev/requirements.py pinned services > /tmp/services.txt \
 && /tools/bin/uv pip install --python /tools/bin/python --require-hashes -r /tmp/build.txt -c requirements.lock \
 && /tools/bin/uv pip install --python /opt/cairn/bin/python --require-hashes \
      -r /tmp/services.txt -c requirements.lock
COPY libs libs
COPY services services
RUN for package in $(python dev/requirements.py workspace services); do \
      (cd "$package" && /tools/bin/python -m hatchling build -t wheel -d /wheels) || exit 1; \
    done \
 && /tools/bin/uv pip install --python /opt/cairn/bin/python --offline --no-deps /wheels/*.whl
COPY deploy/image/healthy.py deploy/image/migrated.py /opt/cairn/bin/
COPY deploy/image/sbom.py /tmp/
# A quarter of the packages is what only a debugger or a C compiler reads. The bytecode names no time, so that two builds
# of one commit hold the same bytes.
RUN find /opt/cairn -type f -name '*.so' -exec strip --strip-unneeded {} + \
 && find /opt/cairn -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/cairn/lib \
 && /opt/cairn/bin/python /tmp/sbom.py > /opt/cairn/sbom.cdx.json \
 && chmod -R a+rX /opt/cairn

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Cairn" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/cairn /opt/cairn
ENV PATH=/opt/cairn/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000 9000
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-I", "/opt/cairn/bin/healthy.py"]
CMD ["python", "-c", "raise SystemExit('say which part to run, such as: python -m cairn.issuance api')"]
