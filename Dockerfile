FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -r /wheels \
    && useradd --system --uid 10001 --create-home hub \
    && install -d -o hub -g hub /data /grafana
USER hub
WORKDIR /home/hub
VOLUME /data
EXPOSE 4317 4318 8080 8123
ENTRYPOINT ["llmhub"]
CMD ["--store", "chdb:///data/store", "up"]
