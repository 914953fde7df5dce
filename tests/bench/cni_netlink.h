#ifndef DAVIT_TESTS_BENCH_CNI_NETLINK_H_
#define DAVIT_TESTS_BENCH_CNI_NETLINK_H_

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

// The little of netlink(7) that the floor of tests/bench/cni needs, in plain C:
// a message is written into one buffer, sent, and its answer read into another.
// Whatever fails ends the process with the call's name and errno.

// One or more messages under construction, back to back.
struct request {
  size_t size;
  struct nlmsghdr* message;  // the one begun last
  _Alignas(NLMSG_ALIGNTO) char bytes[4096];
};

void die(const char* what, int error) __attribute__((noreturn));

int open_netlink(int protocol);

// Begins a message with a copy of the family's fixed header.
void begin(struct request* request, int type, int flags, const void* header,
           size_t header_size);
void put(struct request* request, int attribute, const void* data, size_t size);
void put_u32(struct request* request, int attribute, uint32_t value);
void put_string(struct request* request, int attribute, const char* value);
// Raw bytes in the middle of a nest.
void append(struct request* request, const void* data, size_t size);
struct nlattr* open_nest(struct request* request, int attribute);
void close_nest(struct request* request, struct nlattr* nest);

// Sends all and waits for the acknowledgement of the last message that asks for
// one. Returns its error number, or 0; the first error of a batch wins.
int talk(int fd, struct request* request, uint32_t last_sequence);

// Sends one message that has one answer; returns the answer.
const struct nlmsghdr* ask(int fd, struct request* request, const char* what);

#endif  // DAVIT_TESTS_BENCH_CNI_NETLINK_H_
