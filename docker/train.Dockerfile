# Training and evaluation on NVIDIA GPUs. From the project's folder:
#   docker build -f docker/train.Dockerfile -t awareness-train:0.1.0 .
# The final stage keeps CUDA's toolkit, since DeepSpeed compiles its operations for the GPU it meets;
# what builds Python packages stays behind. Pinned as pipeline.Dockerfile is.
ARG CUDA_IMAGE=nvidia/cuda:13.0.1-devel-ubuntu24.04

FROM ${CUDA_IMAGE} AS build
RUN apt-get update \
 && apt-get install --no-install-recommends --yes g++ git python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv
WORKDIR /app
COPY constraints.txt ./
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt torch==2.13.0
COPY pyproject.toml README.md LICENSE ./
COPY awareness_model awareness_model
COPY awareness_pipeline awareness_pipeline
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt --editable ".[data,gpu]"

FROM ${CUDA_IMAGE}
RUN apt-get update \
 && apt-get install --no-install-recommends --yes g++ git openssh-client pdsh python3-dev \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 awareness \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin awareness \
 && install -d -o 10001 -g 10001 -m 0750 /app/data /app/models /app/copy
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    DEVICE=cuda \
    HOME=/tmp \
    PGPASSWORD_FILE=/run/secrets/postgres_password \
    AWS_SHARED_CREDENTIALS_FILE=/run/secrets/aws_credentials \
    WANDB_API_KEY_FILE=/run/secrets/wandb_key
WORKDIR /app
COPY --chmod=0555 docker/entrypoint.sh /usr/local/bin/entrypoint.sh
COPY --from=build /opt/venv /opt/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY awareness_model awareness_model
COPY awareness_pipeline awareness_pipeline
USER 10001:10001
ENTRYPOINT ["entrypoint.sh", "awareness"]
CMD ["train"]
