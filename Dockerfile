# DrCaptcha with training on the CPU. The GPU variant is Dockerfile.gpu; both install through script/bootstrap.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

WORKDIR /app
COPY . .
RUN script/bootstrap train audio postgres redis \
    && useradd --system --home-dir /state --create-home drcaptcha

ENV DRCAPTCHA_ENV=production \
    DRCAPTCHA_STATE=/state \
    DRCAPTCHA_BIND=0.0.0.0
USER drcaptcha
VOLUME /state
EXPOSE 8000
CMD ["script/server"]
