# tallyd's image: the program, the libraries that it links, a user to run as, and nothing else.
FROM debian:12-slim AS build
WORKDIR /src
COPY scripts/lib.sh scripts/setup.sh scripts/
RUN scripts/setup.sh --build
COPY . .
# OFF builds without npm's packages, where they cannot be fetched.
ARG DOCS_UI=ON
RUN cmake -S . -B build -G Ninja -DBUILD_TESTING=OFF -DDOCS_UI=$DOCS_UI \
    && cmake --build build --target tallyd \
    && strip build/tallyd
# ldd also names the loader. glibc resolves host names without further files since 2.34. civetweb
# loads OpenSSL while it runs, by names without a version.
RUN mkdir -p /image/etc \
    && ldd build/tallyd | grep -o '/[^ ]*' | xargs -I{} cp -L --parents {} /image \
    && for name in ssl crypto; do \
        library=$(ldd build/tallyd | grep -o "/[^ ]*/lib$name\.so\.[0-9]*") \
        && ln -s "${library##*/}" "/image${library%.so.*}.so" || exit 1; \
    done \
    && cp build/tallyd /image/tallyd \
    && echo 'tallyd:x:65532:65532:tallyd:/:/nonexistent' >/image/etc/passwd \
    && echo 'tallyd:x:65532:' >/image/etc/group

FROM scratch
COPY --from=build /image /
USER 65532:65532
# A container has a network of its own: on its loopback interface nobody could reach the server.
ENV BIND=0.0.0.0
EXPOSE 50051 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["/tallyd", "--healthcheck"]
ENTRYPOINT ["/tallyd"]
