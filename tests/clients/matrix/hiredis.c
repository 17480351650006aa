/* hiredis. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <hiredis/hiredis.h>

static redisContext *context;
static char reason[256];

/* Says why a section fails; returns 0, which is "failed". */
static int fails(const char *why) {
    snprintf(reason, sizeof reason, "%s", why ? why : "no reply");
    for (char *at = reason; *at; at++)
        if (*at == '\n' || *at == '\r') *at = ' ';
    return 0;
}

/* Whether a reply is the text, number or array length that was expected; frees it. */
static int is(redisReply *reply, int type, const char *text, long long number) {
    int good = reply && reply->type == type;
    if (good && text) good = strcmp(reply->str, text) == 0;
    if (good && type == REDIS_REPLY_INTEGER) good = reply->integer == number;
    if (good && type == REDIS_REPLY_ARRAY) good = (long long)reply->elements == number;
    if (!good) fails(reply && reply->str ? reply->str : context->err ? context->errstr : "another reply");
    if (reply) freeReplyObject(reply);
    return good;
}

static int status(redisReply *reply, const char *text) { return is(reply, REDIS_REPLY_STATUS, text, 0); }
static int string(redisReply *reply, const char *text) { return is(reply, REDIS_REPLY_STRING, text, 0); }
static int integer(redisReply *reply, long long number) { return is(reply, REDIS_REPLY_INTEGER, NULL, number); }
static int array(redisReply *reply, long long length) { return is(reply, REDIS_REPLY_ARRAY, NULL, length); }
static int nil(redisReply *reply) { return is(reply, REDIS_REPLY_NIL, NULL, 0); }
static int error(redisReply *reply, const char *part) {
    int good = reply && reply->type == REDIS_REPLY_ERROR && strstr(reply->str, part);
    if (!good) fails(reply && reply->str ? reply->str : "no error");
    if (reply) freeReplyObject(reply);
    return good;
}

#define DO(...) redisCommand(context, __VA_ARGS__)

static int order(const char *word) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons(atoi(getenv("CONTROL")));
    int control = socket(AF_INET, SOCK_STREAM, 0);
    char text[64] = {0};
    if (connect(control, (struct sockaddr *)&address, sizeof address) != 0) return -1;
    snprintf(text, sizeof text, "%s\n", word);
    if (write(control, text, strlen(text)) < 0) return -1;
    ssize_t got = recv(control, text, sizeof text - 1, MSG_WAITALL);
    close(control);
    return got > 0 ? atoi(text) : -1;
}

static redisContext *opened(void) { return redisConnect("127.0.0.1", atoi(getenv("PORT"))); }

static int connecting(void) {
    context = opened();
    if (!context || context->err) return fails("it does not connect");
    struct timeval limit = {.tv_sec = 15};
    redisSetTimeout(context, limit);
    return status(DO("PING"), "PONG");
}

static int strings(void) {
    return status(DO("SET s 1 EX 100"), "OK") && integer(DO("INCR s"), 2) && string(DO("GET s"), "2") &&
           nil(DO("GET none")) && integer(DO("HSET h f v g w"), 2) && array(DO("HGETALL h"), 4);
}

static int pipelines(void) {
    char wanted[16];
    for (int number = 0; number < 500; number++) {
        redisAppendCommand(context, "SET p%d %d", number, number);
        redisAppendCommand(context, "GET p%d", number);
    }
    for (int number = 0; number < 500; number++) {
        void *first = NULL, *second = NULL;
        redisGetReply(context, &first);
        redisGetReply(context, &second);
        snprintf(wanted, sizeof wanted, "%d", number);
        if (!status(first, "OK") || !string(second, wanted)) return 0;
    }
    return 1;
}

static int multi_key(void) {
    return status(DO("MSET m1 1 m2 2 m3 3 m4 4 m5 5 m6 6 m7 7 m8 8"), "OK") &&
           array(DO("MGET m1 m2 m3 m4 m5 m6 m7 m8 none"), 9) && integer(DO("EXISTS m1 m2 m3 m8 none"), 4) &&
           integer(DO("DEL m1 m2 m3 m4 m5 m6 m7 m8 none"), 8);
}

static int binary(void) {
    static char value[1 << 20];
    for (size_t at = 0; at < sizeof value; at++) value[at] = (char)at;
    if (!status(DO("SET %b %b", "\0\xff\r\n", (size_t)4, value, sizeof value), "OK")) return 0;
    redisReply *reply = DO("GET %b", "\0\xff\r\n", (size_t)4);
    int good = reply && reply->len == sizeof value && memcmp(reply->str, value, sizeof value) == 0;
    if (reply) freeReplyObject(reply);
    return good ? 1 : fails("another value");
}

static int errors(void) {
    int before = order("count");
    int good = integer(DO("HSET hash f v"), 1) && error(DO("INCR hash"), "WRONGTYPE") &&
               error(DO("NOSUCHCOMMAND"), "unknown command") && error(DO("GET"), "wrong number of arguments") &&
               nil(DO("GET none"));
    if (!good) return 0;
    return order("count") == before ? 1 : fails("it connected again");
}

static int reconnect(void) {
    if (!status(DO("SET r 1"), "OK")) return 0;
    order("cut");
    redisReply *reply = DO("GET r");
    if (reply) {
        freeReplyObject(reply);
        return fails("it did not notice");
    }
    if (redisReconnect(context) != REDIS_OK) return fails(context->errstr);
    return string(DO("GET r"), "1");
}

static int transactions(void) {
    return status(DO("MULTI"), "OK") && status(DO("SET {t}a 1"), "QUEUED") && status(DO("INCR {t}a"), "QUEUED") &&
           status(DO("SET {t}b 2"), "QUEUED") && array(DO("EXEC"), 3) && string(DO("GET {t}a"), "2") &&
           status(DO("MULTI"), "OK") && status(DO("SET {t}a 7"), "QUEUED") && status(DO("DISCARD"), "OK") &&
           string(DO("GET {t}a"), "2");
}

static int watch(void) {
    redisContext *other = opened();
    int good = status(DO("WATCH {w}a"), "OK");
    redisReply *reply = redisCommand(other, "SET {w}a 5");
    if (reply) freeReplyObject(reply);
    redisFree(other);
    return good && status(DO("MULTI"), "OK") && status(DO("SET {w}a 2"), "QUEUED") && nil(DO("EXEC")) &&
           string(DO("GET {w}a"), "5");
}

static int blocking(void) {
    return nil(DO("BLPOP {b}none 1")) && integer(DO("RPUSH {b}list x y"), 2) &&
           array(DO("BLPOP {b}none {b}list 5"), 2) && string(DO("BLMOVE {b}list {b}other LEFT RIGHT 5"), "y");
}

static int subscribing(void) {
    redisContext *other = opened();
    redisReply *reply = redisCommand(other, "SUBSCRIBE channel");
    struct timeval limit = {.tv_sec = 5};
    redisSetTimeout(other, limit);
    int good = array(reply, 3);
    if (good) {
        void *message = NULL;
        reply = DO("PUBLISH channel x");
        if (reply) freeReplyObject(reply);
        good = redisGetReply(other, &message) == REDIS_OK && array(message, 3);
    }
    redisFree(other);
    return good;
}

static int scans(void) {
    char cursor[32] = "0";
    size_t found = 0;
    for (int number = 0; number < 300; number++)
        if (!status(DO("SET scan:%d 1", number), "OK")) return 0;
    do {
        redisReply *reply = DO("SCAN %s MATCH scan:* COUNT 17", cursor);
        if (!reply || reply->type != REDIS_REPLY_ARRAY) return fails(reply ? reply->str : NULL);
        snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
        found += reply->element[1]->elements;
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);
    return found >= 300 ? 1 : fails("not all keys were found");
}

static int scripts(void) {
    if (!array(DO("EVAL %s 1 k a", "return {KEYS[1], ARGV[1]}"), 2)) return 0;
    redisReply *loaded = DO("SCRIPT LOAD %s", "return ARGV[1]");
    if (!loaded || loaded->type != REDIS_REPLY_STRING) return fails(loaded ? loaded->str : NULL);
    int good = string(DO("EVALSHA %s 1 k x", loaded->str), "x");
    freeReplyObject(loaded);
    return good;
}

static void section(const char *name, int (*body)(void)) {
    if (body()) printf("%s ok\n", name);
    else printf("%s FAILED: %s\n", name, reason);
    fflush(stdout);
    /* An error of the connection (a reply that took too long) must not fail the next section. */
    if (context && context->err) redisReconnect(context);
}

int main(void) {
    printf("version hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    section("connect", connecting);
    if (!context || context->err) return 1;
    section("strings", strings);
    section("pipelines", pipelines);
    section("multi-key", multi_key);
    section("binary values", binary);
    section("an error keeps the connection", errors);
    section("reconnect", reconnect);
    section("transactions", transactions);
    section("watch", watch);
    section("blocking pops", blocking);
    section("publish/subscribe", subscribing);
    section("scans", scans);
    section("scripts", scripts);
    redisFree(context);
    return 0;
}
