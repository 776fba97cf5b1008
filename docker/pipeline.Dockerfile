# Two images, as small as their work allows. From the project's folder:
#   docker build -f docker/pipeline.Dockerfile --target dagster  -t awareness-dagster:0.1.0 .
#   docker build -f docker/pipeline.Dockerfile --target pipeline -t awareness-pipeline:0.1.0 .
# dagster    web server and daemon: no code of ours, no git, no torch
# pipeline   the code location, and every run: all of the flow but a GPU
# Pinned: the base by version here (by digest with --build-arg PYTHON_IMAGE=python:…@sha256:…, see
# docs/cluster.md), every Python package by constraints.txt. Data and models are mounted.
ARG PYTHON_IMAGE=python:3.11.9-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    HOME=/tmp \
    DAGSTER_HOME=/app/dagster_home \
    DAGSTER_PG_PASSWORD_FILE=/run/secrets/postgres_password \
    PGPASSWORD_FILE=/run/secrets/postgres_password \
    GITHUB_TOKENS_FILE=/run/secrets/github_tokens \
    AWARENESS_TEACHER_KEY_FILE=/run/secrets/teacher_key \
    AWARENESS_WEBHOOK_URL_FILE=/run/secrets/webhook_url \
    AWS_SHARED_CREDENTIALS_FILE=/run/secrets/aws_credentials
# A new volume takes the owner of the folder it is mounted on. Dagster looks for the two folders in
# its home even with telemetry off; the root is read-only when it runs.
RUN groupadd --gid 10001 awareness \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin awareness \
 && install -d -o 10001 -g 10001 -m 0750 /app/data /app/models /app/logs /app/copy \
 && install -d /app/dagster_home/logs /app/dagster_home/.logs_queue
WORKDIR /app
COPY --chmod=0555 docker/entrypoint.sh /usr/local/bin/entrypoint.sh
COPY --chmod=0444 docker/dagster.yaml dagster_home/dagster.yaml
COPY --chmod=0444 docker/workspace.yaml workspace.yaml
ENTRYPOINT ["entrypoint.sh"]

FROM ${PYTHON_IMAGE} AS build-dagster
WORKDIR /app
COPY constraints.txt ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt \
      dagster dagster-webserver dagster-postgres dagster-docker dagster-k8s

FROM base AS dagster
COPY --from=build-dagster /opt/venv /opt/venv
USER 10001:10001
EXPOSE 3000
CMD ["dagster-webserver", "-h", "0.0.0.0", "-p", "3000", "-w", "workspace.yaml"]

FROM ${PYTHON_IMAGE} AS build-pipeline
RUN apt-get update \
 && apt-get install --no-install-recommends --yes g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
RUN python -m venv /opt/venv
COPY constraints.txt ./
# torch first and alone: a change of code does not fetch it again.
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt torch==2.13.0
COPY pyproject.toml README.md LICENSE ./
COPY awareness_model awareness_model
COPY awareness_pipeline awareness_pipeline
# Editable, so that pyproject.toml stays above the package, where `dg` looks for it.
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt \
      --editable ".[data,cluster]"

FROM base AS pipeline
# git for clones; g++ because DeepSpeed compiles its CPU operation for the processor it meets.
RUN apt-get update \
 && apt-get install --no-install-recommends --yes g++ git \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build-pipeline /opt/venv /opt/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY awareness_model awareness_model
COPY awareness_pipeline awareness_pipeline
USER 10001:10001
EXPOSE 4266
CMD ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", "4266", "-m", "awareness_pipeline.definitions"]
