#include "tests/bench/cni_netlink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static _Alignas(NLMSG_ALIGNTO) char answer[16384];

void die(const char* what, int error) {
  fprintf(stderr, "cni_floor: %s: %s\n", what, strerror(error));
  exit(1);
}

int open_netlink(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) die("socket(AF_NETLINK)", errno);
  return fd;
}

void append(struct request* request, const void* data, size_t size) {
  size_t padded = NLMSG_ALIGN(size);
  if (request->size + padded > sizeof(request->bytes)) {
    die("netlink message", EMSGSIZE);
  }
  memset(request->bytes + request->size, 0, padded);
  if (size > 0) memcpy(request->bytes + request->size, data, size);
  request->size += padded;
  request->message->nlmsg_len += (uint32_t)padded;
}

void begin(struct request* request, int type, int flags, const void* header,
           size_t header_size) {
  static uint32_t sequence;
  struct nlmsghdr netlink = {.nlmsg_type = (uint16_t)type,
                             .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                             .nlmsg_seq = ++sequence};
  request->message = (struct nlmsghdr*)(request->bytes + request->size);
  if (request->size + sizeof(netlink) > sizeof(request->bytes)) {
    die("netlink message", EMSGSIZE);
  }
  netlink.nlmsg_len = sizeof(netlink);
  memcpy(request->message, &netlink, sizeof(netlink));
  request->size += sizeof(netlink);
  append(request, header, header_size);
}

void put(struct request* request, int attribute, const void* data,
         size_t size) {
  struct nlattr header = {.nla_len = (uint16_t)(NLA_HDRLEN + size),
                          .nla_type = (uint16_t)attribute};
  append(request, &header, sizeof(header));
  append(request, data, size);
}

void put_u32(struct request* request, int attribute, uint32_t value) {
  put(request, attribute, &value, sizeof(value));
}

void put_string(struct request* request, int attribute, const char* value) {
  put(request, attribute, value, strlen(value) + 1);
}

struct nlattr* open_nest(struct request* request, int attribute) {
  struct nlattr* nest = (struct nlattr*)(request->bytes + request->size);
  put(request, attribute | NLA_F_NESTED, NULL, 0);
  return nest;
}

void close_nest(struct request* request, struct nlattr* nest) {
  nest->nla_len = (uint16_t)(request->bytes + request->size - (char*)nest);
}

static ssize_t exchange_rest(int fd) {
  ssize_t size = recv(fd, answer, sizeof(answer), 0);
  if (size < 0) die("recv(netlink)", errno);
  return size;
}

int talk(int fd, struct request* request, uint32_t last_sequence) {
  if (send(fd, request->bytes, request->size, 0) < 0) return errno;
  for (;;) {
    ssize_t left = exchange_rest(fd);
    struct nlmsghdr* header = (struct nlmsghdr*)answer;
    for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      int error = -((struct nlmsgerr*)NLMSG_DATA(header))->error;
      if (error != 0 || header->nlmsg_seq == last_sequence) return error;
    }
  }
}

const struct nlmsghdr* ask(int fd, struct request* request, const char* what) {
  if (send(fd, request->bytes, request->size, 0) < 0) die(what, errno);
  ssize_t size = exchange_rest(fd);
  struct nlmsghdr* header = (struct nlmsghdr*)answer;
  if (!NLMSG_OK(header, size)) die(what, EBADMSG);
  if (header->nlmsg_type == NLMSG_ERROR) {
    die(what, -((struct nlmsgerr*)NLMSG_DATA(header))->error);
  }
  return header;
}
