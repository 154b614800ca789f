# The image of the action. By hand:
#
#	make image
#	docker run --rm autonomous-loop:dev demo
#
# What the release publishes has its bases pinned by digest. No COPY --chmod and
# no RUN --mount: engines without BuildKit build this too.

FROM node:24-bookworm-slim AS node

FROM golang:1.26-bookworm AS build
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o /out/autonomous-loop .
# The driver comes the way it comes on every machine. The browser is the next
# stage's, so that setup.sh is told of a program that only has to run.
RUN AUTONOMOUS_LOOP_CACHE=/opt/autonomous-loop AUTONOMOUS_LOOP_CHROMIUM=/bin/true tools/setup.sh \
 && mv /opt/autonomous-loop/driver-* /out/driver

FROM debian:bookworm-slim
LABEL org.opencontainers.image.source=https://github.com/autonomous-loop/autonomous-loop \
      org.opencontainers.image.licenses=Apache-2.0
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates git ripgrep chromium-headless-shell fonts-liberation fonts-noto-color-emoji \
 && rm -rf /var/lib/apt/lists/*
# Toolchains that steps before ours set up cannot be seen from a container
# action, so what most projects are built and tested with is here. Go is 270 MB
# of 1.2 GB, or of 0.44 GB compressed; Chromium and what it needs are most of it.
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
COPY --from=build /usr/local/go /usr/local/go
COPY --from=build /out/driver /opt/autonomous-loop/driver
COPY --from=build /out/autonomous-loop /usr/local/bin/autonomous-loop
# Under this name it is started once more when the job's steps are over.
RUN ln -s autonomous-loop /usr/local/bin/autonomous-loop-post
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    AUTONOMOUS_LOOP_CHROMIUM=/usr/lib/chromium/chromium-headless-shell \
    AUTONOMOUS_LOOP_DRIVER=/opt/autonomous-loop/driver \
    AUTONOMOUS_LOOP_NODE=/usr/local/bin/node
# No USER: GitHub runs container actions as root and gives them files of root's
# and of the runner's. It takes root to give commands a user of their own, which
# is what keeps them from this process, its secrets and its files.
# In exec form, because a shell drops variables like INPUT_API-KEY.
ENTRYPOINT ["/usr/local/bin/autonomous-loop"]
