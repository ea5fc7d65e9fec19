// A model server that costs next to nothing, for measuring what stands before it: one thread, epoll, fixed answers.
//
//   gateway_mock burst|paced [PORT]      prints the port it listens on; paced: an event every 10 ms
//
// POST to a path that ends in /count_tokens, that contains /messages (Anthropic's form), or any other (OpenAI's form);
// a body that has "stream": true is answered with 64 deltas as server-sent events, one write() for each, chunked. GET
// answers what routers probe. Bodies may be chunked. Nothing else is checked: it trusts who calls it.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { DELTAS = 64, EVENTS_MOST = DELTAS + 8, GAP_US = 10000, CONNECTIONS_MOST = 65536 };

typedef struct { char *bytes; size_t size; } Text;
typedef struct { Text events[EVENTS_MOST]; int count; } Stream;  // the last event also ends the chunked body
typedef struct Connection {
    int fd;
    char *in; size_t in_size, in_room;       // received, not yet answered
    char *out; size_t out_size;              // what the socket would not take
    const Stream *stream; int next;          // the answer that is being streamed, its next event
    long long due_us; struct Connection *before, *after;  // in the line of paced streams, soonest first
} Connection;

static Stream openai_stream, anthropic_stream;
static Text openai_json, anthropic_json, count_json, models_json, info_json, health;
static Connection *connections[CONNECTIONS_MOST], line = {.before = &line, .after = &line};
static int poll_fd, paced;

static long long now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

// ---- The answers, made once ----

static Text text(const char *format, ...) {
    Text made;
    va_list arguments;
    va_start(arguments, format);
    made.size = vasprintf(&made.bytes, format, arguments);
    va_end(arguments);
    return made;
}

static Text answer(const char *body) {
    return text("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", strlen(body), body);
}

static void add_event(Stream *to, Text event) {
    const char *head = to->count ? "" : "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                                        "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    to->events[to->count++] = text("%s%zx\r\n%s\r\n", head, event.size, event.bytes);
}

static void end_stream(Stream *of) {
    Text *last = &of->events[of->count - 1];
    *last = text("%s0\r\n\r\n", last->bytes);
}

#define CHUNK "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"mock\",\"choices\":"
#define USAGE "{\"prompt_tokens\":12,\"completion_tokens\":64,\"total_tokens\":76}"

static void make_openai(void) {
    openai_json = answer(
        "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1795000000,\"model\":\"mock\",\"choices\":"
        "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Current is what a conductor carries.\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":" USAGE "}");
    for (int i = 0; i < DELTAS; i++)
        add_event(&openai_stream, text("data: " CHUNK "[{\"index\":0,\"delta\":{%s\"content\":\" word%d\"},"
                                       "\"finish_reason\":null}]}\n\n", i ? "" : "\"role\":\"assistant\",", i));
    add_event(&openai_stream, text("data: " CHUNK "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"));
    add_event(&openai_stream, text("data: " CHUNK "[],\"usage\":" USAGE "}\n\n"));
    add_event(&openai_stream, text("data: [DONE]\n\n"));
    end_stream(&openai_stream);
}

#define COUNTED "\"input_tokens\":12,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":"
#define MESSAGE "{\"id\":\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock\",\"content\":"

static void make_anthropic(void) {
    Stream *to = &anthropic_stream;
    anthropic_json = answer(MESSAGE "[{\"type\":\"text\",\"text\":\"Current is what a conductor carries.\"}],"
                            "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{" COUNTED "64}}");
    add_event(to, text("event: message_start\ndata: {\"type\":\"message_start\",\"message\":" MESSAGE "[],"
                       "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{" COUNTED "1}}}\n\n"));
    add_event(to, text("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                       "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"));
    for (int i = 0; i < DELTAS; i++)
        add_event(to, text("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                           "\"delta\":{\"type\":\"text_delta\",\"text\":\" word%d\"}}\n\n", i));
    add_event(to, text("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"));
    add_event(to, text("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
                       "\"stop_sequence\":null},\"usage\":{\"output_tokens\":64}}\n\n"));
    add_event(to, text("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    end_stream(to);
}

static void make_answers(void) {
    make_openai();
    make_anthropic();
    count_json = answer("{\"input_tokens\":12}");
    models_json = answer("{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\",\"created\":1795000000,"
                         "\"owned_by\":\"mock\"}]}");
    info_json = answer("{\"model_path\":\"mock\",\"tokenizer_path\":\"mock\",\"is_generation\":true,"
                       "\"served_model_name\":\"mock\",\"dp_size\":1,\"tp_size\":1,\"version\":\"0\"}");
    health = answer("{\"status\":\"ok\"}");
}

// ---- Connections ----

static void watch(Connection *c, int how, unsigned events) {
    struct epoll_event e = {.events = events, .data.fd = c->fd};
    epoll_ctl(poll_fd, how, c->fd, &e);
}

static void leave_line(Connection *c) {
    if (!c->after) return;
    c->before->after = c->after;
    c->after->before = c->before;
    c->before = c->after = NULL;
}

static void join_line(Connection *c) {  // every gap is equal, so who joins is due last
    c->before = line.before;
    c->after = &line;
    line.before->after = c;
    line.before = c;
}

static void drop(Connection *c) {
    leave_line(c);
    connections[c->fd] = NULL;
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void send_bytes(Connection *c, Text what) {
    if (!c->out_size) {
        ssize_t sent = write(c->fd, what.bytes, what.size);
        if (sent < 0 && errno != EAGAIN) return;  // the read that follows finds it closed
        if (sent > 0) what.bytes += sent, what.size -= sent;
        if (!what.size) return;
        watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    c->out = realloc(c->out, c->out_size + what.size);
    memcpy(c->out + c->out_size, what.bytes, what.size);
    c->out_size += what.size;
}

static void flush(Connection *c) {
    ssize_t sent = write(c->fd, c->out, c->out_size);
    if (sent <= 0) return;
    memmove(c->out, c->out + sent, c->out_size -= sent);
    if (!c->out_size) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

// Paced, 64 deltas at one gap each; what opens the stream goes with the first of them, what closes it together.
static int send_step(Connection *c) {
    int opens = c->stream == &anthropic_stream ? 2 : 0, until = c->next < opens ? opens + 1 : c->next + 1;
    if (until > opens + DELTAS) until = c->stream->count;
    while (c->next < until) send_bytes(c, c->stream->events[c->next++]);
    return c->next < c->stream->count;
}

static void start_stream(Connection *c, const Stream *stream) {
    c->stream = stream;
    c->next = 0;
    if (paced) {
        c->due_us = now_us() + GAP_US;
        join_line(c);
        return;
    }
    while (send_step(c)) {}
    c->stream = NULL;
}

// ---- Requests ----

static int asks_for_stream(const char *body, size_t size) {
    const char *at = memmem(body, size, "\"stream\"", 8), *end = body + size;
    if (!at) return 0;
    for (at += 8; at < end && (*at == ' ' || *at == ':'); at++) {}
    return end - at >= 4 && !memcmp(at, "true", 4);
}

static void respond(Connection *c, const char *head, const char *body, size_t size) {
    const char *path = strchr(head, ' ');
    size_t length = path ? strcspn(path + 1, " ?") + 1 : 0;
    if (strncmp(head, "POST", 4)) {
        int models = length >= 7 && memmem(path, length, "/models", 7) != NULL;
        int info = length >= 5 && memmem(path, length, "_info", 5) != NULL;
        send_bytes(c, models ? models_json : info ? info_json : health);
    } else if (memmem(path, length, "/count_tokens", 13)) {
        send_bytes(c, count_json);
    } else {
        int anthropic = memmem(path, length, "/messages", 9) != NULL;
        if (asks_for_stream(body, size)) start_stream(c, anthropic ? &anthropic_stream : &openai_stream);
        else send_bytes(c, anthropic ? anthropic_json : openai_json);
    }
}

// Bytes of a chunked body with its framing, 0 if it is not all there. merge: moves the chunks together at `body`.
static size_t unchunk(char *body, size_t there, size_t *size, int merge) {
    size_t at = 0;
    *size = 0;
    for (;;) {
        char *line_end = memmem(body + at, there - at, "\r\n", 2);
        if (!line_end) return 0;
        size_t chunk = strtoul(body + at, NULL, 16), begins = line_end + 2 - body;
        if (begins + chunk + 2 > there) return 0;
        if (!chunk) return begins + 2;
        if (merge) memmove(body + *size, body + begins, chunk);
        at = begins + chunk + 2;
        *size += chunk;
    }
}

static int answer_one(Connection *c) {  // 1 if a whole request was there
    char *end = memmem(c->in, c->in_size, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = end + 4 - c->in, there = c->in_size - head, size = 0, whole = 0;
    end[2] = 0;  // the head is a string from here on
    char *length = strcasestr(c->in, "\ncontent-length:"), *coding = strcasestr(c->in, "\ntransfer-encoding: chunked");
    if (coding) whole = unchunk(c->in + head, there, &size, 0);
    else whole = size = length ? strtoul(length + 16, NULL, 10) : 0;
    if (whole > there || (coding && !whole)) {
        end[2] = '\r';
        return 0;
    }
    if (coding) unchunk(c->in + head, there, &size, 1);
    respond(c, c->in, c->in + head, size);
    memmove(c->in, c->in + head + whole, c->in_size -= head + whole);
    return 1;
}

static void receive(Connection *c) {
    for (;;) {
        if (c->in_room - c->in_size < 4096) c->in = realloc(c->in, (c->in_room = c->in_room * 2 + 16384) + 1);
        ssize_t got = read(c->fd, c->in + c->in_size, c->in_room - c->in_size);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            drop(c);
            return;
        }
        if (got < 0) break;
        c->in_size += got;
        if (c->in_size < c->in_room) break;
    }
    while (!c->stream && c->in_size && answer_one(c)) {}
}

static void welcome(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (fd >= CONNECTIONS_MOST) {
            close(fd);
            continue;
        }
        Connection *c = connections[fd] = calloc(1, sizeof *c);
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static int send_what_is_due(void) {  // ms until the next is
    while (line.after != &line) {
        Connection *c = line.after;
        long long wait_us = c->due_us - now_us();
        if (wait_us > 0) return (int)((wait_us + 999) / 1000);
        leave_line(c);
        c->due_us += GAP_US;
        if (send_step(c)) {
            join_line(c);
        } else {
            c->stream = NULL;
            while (!c->stream && c->in_size && answer_one(c)) {}
        }
    }
    return -1;
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) {
        perror("gateway_mock");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&at, &(socklen_t){sizeof at});
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

int main(int count, char **words) {
    if (count < 2) return 2;
    signal(SIGPIPE, SIG_IGN);
    paced = !strcmp(words[1], "paced");
    make_answers();
    poll_fd = epoll_create1(0);
    int listener = listen_on(count > 2 ? atoi(words[2]) : 0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, found[256];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int ready = epoll_wait(poll_fd, found, 256, send_what_is_due());
        for (int i = 0; i < ready; i++) {
            int fd = found[i].data.fd;
            if (fd == listener) {
                welcome(listener);
                continue;
            }
            Connection *c = connections[fd];
            if (c && found[i].events & EPOLLOUT && c->out_size) flush(c);
            if (c && found[i].events & ~EPOLLOUT) receive(c);
        }
    }
}
