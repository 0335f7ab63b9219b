# One image for all processes of the store; compose.yaml says which of them runs what.
FROM python:3.12-slim

# apt and dpkg-deb make the agents' base image; the package lists are fetched when that is done.
RUN useradd --system --uid 10001 --home-dir /srv store && pip install --no-cache-dir uv
WORKDIR /srv
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-default-groups --compile-bytecode
ENV PATH=/srv/.venv/bin:$PATH PYTHONUNBUFFERED=1 AGENTSTORE_MODE=live \
    AGENTSTORE_DATA_DIR=/data AGENTSTORE_RUN_DIR=/run/agentstore
COPY . .
RUN SECRET_KEY=only-for-this-command python manage.py collectstatic --no-input

USER store
EXPOSE 8000
CMD ["uvicorn", "--host", "0.0.0.0", "--port", "8000", "--lifespan", "off", "--no-access-log", "agentstore.asgi:application"]
