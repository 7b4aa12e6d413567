# One image for all services: Airflow, the Hub and its providers, from the same hashed lock as everywhere.
FROM python:3.11-slim-trixie

ENV PYTHONUNBUFFERED=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
RUN pip install --no-cache-dir uv==0.13.9 \
 && groupadd --system hub && useradd --uid 50000 --gid 0 --home-dir /opt/hub --create-home hub

WORKDIR /opt/hub
COPY requirements.txt ./
RUN uv pip install --system --require-hashes --requirement requirements.txt

COPY pyproject.toml README.md ./
COPY plugins ./plugins
COPY providers ./providers
COPY bridge_api ./bridge_api
COPY dags ./dags
RUN uv pip install --system --no-build-isolation --no-deps --editable . \
 && mkdir -p airflow/logs login && chown -R 50000:0 airflow login && chmod -R g=u airflow login

USER 50000:0
EXPOSE 8080
CMD ["airflow", "version"]
