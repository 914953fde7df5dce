// The floor of tests/bench/cni: the least that a program of its own must do for
// one ADD or DEL, in plain C over raw netlink sockets; statically linked. It
// parses no configuration, checks nothing that the kernel does not check, and
// undoes nothing. It makes the same veth pair, addresses, routes, sysctls,
// reservation file and set elements as the plugins.
//
//   cni_floor ADD|DEL ptp|bridge|portmap KEY=VALUE...
//
// netns, ifname, host (the node's end), id, dir (the directory of leases), ip,
// bits, gw; ip6, bits6, gw6; masq=1; bridge; port (of the node, to the pod's
// port 80). The bridge, and nft's table "floor" with the set "masq" and the map
// "ports", are there before.

#define _GNU_SOURCE  // setns(2)

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/bench/cni_netlink.h"

static const char* option(char** argv, const char* key) {
  size_t length = strlen(key);
  for (; *argv != NULL; ++argv) {
    if (strncmp(*argv, key, length) == 0 && (*argv)[length] == '=') {
      return *argv + length + 1;
    }
  }
  return "";
}

struct options {
  const char *kind, *netns, *ifname, *host, *id, *dir, *bridge;
  const char *ip, *gw, *ip6, *gw6;
  int bits, bits6, masq, port;
};

static struct options parse(char** argv) {
  struct options o = {
      .kind = argv[2],
      .netns = option(argv, "netns"),
      .ifname = option(argv, "ifname"),
      .host = option(argv, "host"),
      .id = option(argv, "id"),
      .dir = option(argv, "dir"),
      .bridge = option(argv, "bridge"),
      .ip = option(argv, "ip"),
      .gw = option(argv, "gw"),
      .ip6 = option(argv, "ip6"),
      .gw6 = option(argv, "gw6"),
      .bits = atoi(option(argv, "bits")),
      .bits6 = atoi(option(argv, "bits6")),
      .masq = atoi(option(argv, "masq")),
      .port = atoi(option(argv, "port")),
  };
  return o;
}

// ---- files ----

static void write_file(const char* path, int flags, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0600);
  if (fd < 0) die(path, errno);
  if (write(fd, text, strlen(text)) < 0) die(path, errno);
  close(fd);
}

static void write_sysctl(const char* directory, const char* ifname,
                         const char* name, const char* value) {
  char path[256];
  snprintf(path, sizeof(path), "/proc/sys/net/%s/%s/%s", directory, ifname,
           name);
  write_file(path, 0, value);
}

static void lock(const char* dir) {
  char path[512];
  snprintf(path, sizeof(path), "%s/lock", dir);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || flock(fd, LOCK_EX) < 0) die(path, errno);
}

static void reserve(const struct options* o, const char* ip, int set) {
  char path[512], owner[256];
  snprintf(path, sizeof(path), "%s/%s", o->dir, ip);
  snprintf(owner, sizeof(owner), "%s\r\n%s", o->id, o->ifname);
  write_file(path, O_CREAT | O_EXCL, owner);
  snprintf(path, sizeof(path), "%s/last_reserved_ip.%d", o->dir, set);
  write_file(path, O_CREAT | O_TRUNC, ip);
}

static void release(const struct options* o, const char* ip) {
  char path[512];
  snprintf(path, sizeof(path), "%s/%s", o->dir, ip);
  unlink(path);
}

// ---- rtnetlink ----

static size_t parse_ip(const char* text, uint8_t* bytes) {
  int v6 = strchr(text, ':') != NULL;
  if (inet_pton(v6 ? AF_INET6 : AF_INET, text, bytes) != 1) die(text, EINVAL);
  return v6 ? 16 : 4;
}

static void must(int fd, struct request* request, const char* what) {
  request->message->nlmsg_flags |= NLM_F_ACK;
  int error = talk(fd, request, request->message->nlmsg_seq);
  if (error != 0) die(what, error);
}

static void add_pair(int fd, const struct options* o, int netns_fd) {
  struct request r = {0};
  struct ifinfomsg link = {0};
  begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof(link));
  put_string(&r, IFLA_IFNAME, o->host);
  struct nlattr* info = open_nest(&r, IFLA_LINKINFO);
  put_string(&r, IFLA_INFO_KIND, "veth");
  struct nlattr* data = open_nest(&r, IFLA_INFO_DATA);
  struct nlattr* peer = open_nest(&r, VETH_INFO_PEER);
  append(&r, &link, sizeof(link));
  put_string(&r, IFLA_IFNAME, o->ifname);
  put_u32(&r, IFLA_NET_NS_FD, (uint32_t)netns_fd);
  close_nest(&r, peer);
  close_nest(&r, data);
  close_nest(&r, info);
  must(fd, &r, "RTM_NEWLINK veth");
}

static int index_of(int fd, const char* name) {
  struct request r = {0};
  struct ifinfomsg link = {0};
  begin(&r, RTM_GETLINK, 0, &link, sizeof(link));
  put_string(&r, IFLA_IFNAME, name);
  const struct nlmsghdr* reply = ask(fd, &r, "RTM_GETLINK");
  return ((const struct ifinfomsg*)NLMSG_DATA(reply))->ifi_index;
}

static void set_up(int fd, int index, int master) {
  struct request r = {0};
  struct ifinfomsg link = {
      .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  begin(&r, RTM_NEWLINK, 0, &link, sizeof(link));
  if (master != 0) put_u32(&r, IFLA_MASTER, (uint32_t)master);
  must(fd, &r, "RTM_NEWLINK up");
}

static void delete_link(int fd, const char* name) {
  struct request r = {0};
  struct ifinfomsg link = {0};
  begin(&r, RTM_DELLINK, 0, &link, sizeof(link));
  put_string(&r, IFLA_IFNAME, name);
  must(fd, &r, "RTM_DELLINK");
}

static void add_address(int fd, int index, const char* ip, int bits,
                        int prefix_route) {
  uint8_t bytes[16];
  size_t size = parse_ip(ip, bytes);
  struct request r = {0};
  struct ifaddrmsg address = {.ifa_family = size == 16 ? AF_INET6 : AF_INET,
                              .ifa_prefixlen = (uint8_t)bits,
                              .ifa_index = (uint32_t)index};
  begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof(address));
  put(&r, IFA_LOCAL, bytes, size);
  put(&r, IFA_ADDRESS, bytes, size);
  put_u32(&r, IFA_FLAGS,
          (prefix_route ? 0 : IFA_F_NOPREFIXROUTE) |
              (size == 16 ? IFA_F_NODAD : 0));
  must(fd, &r, "RTM_NEWADDR");
}

// A route to `destination`/`bits`, or the default one if that is "".
static void add_route(int fd, int index, const char* destination, int bits,
                      const char* gateway, const char* source, int scope) {
  uint8_t bytes[16];
  struct request r = {0};
  struct rtmsg route = {.rtm_dst_len = (uint8_t)bits,
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = RTPROT_BOOT,
                        .rtm_scope = (uint8_t)scope,
                        .rtm_type = RTN_UNICAST};
  const char* any = *destination ? destination : gateway;
  route.rtm_family = strchr(any, ':') != NULL ? AF_INET6 : AF_INET;
  begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof(route));
  if (*destination) {
    size_t size = parse_ip(destination, bytes);
    for (size_t bit = (size_t)bits; bit < size * 8; ++bit) {
      bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    }
    put(&r, RTA_DST, bytes, size);
  }
  if (*gateway) put(&r, RTA_GATEWAY, bytes, parse_ip(gateway, bytes));
  if (*source) put(&r, RTA_PREFSRC, bytes, parse_ip(source, bytes));
  put_u32(&r, RTA_OIF, (uint32_t)index);
  must(fd, &r, "RTM_NEWROUTE");
}

// ---- nf_tables ----

static void begin_nft(struct request* r, int type, int flags) {
  struct nfgenmsg header = {.nfgen_family = NFPROTO_INET};
  begin(r, NFNL_SUBSYS_NFTABLES << 8 | type, flags, &header, sizeof(header));
}

static void batch(struct request* r, int type) {
  struct nfgenmsg header = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
  begin(r, type, 0, &header, sizeof(header));
}

static void put_value(struct request* r, int attribute, const void* value,
                      size_t size) {
  struct nlattr* nest = open_nest(r, attribute);
  put(r, NFTA_DATA_VALUE, value, size);
  close_nest(r, nest);
}

static void element(struct request* r, int type, const char* set,
                    const void* key, size_t key_size, const void* data,
                    size_t data_size) {
  begin_nft(r, type,
            type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE | NLM_F_EXCL : 0);
  put_string(r, NFTA_SET_ELEM_LIST_TABLE, "floor");
  put_string(r, NFTA_SET_ELEM_LIST_SET, set);
  struct nlattr* elements = open_nest(r, NFTA_SET_ELEM_LIST_ELEMENTS);
  struct nlattr* one = open_nest(r, NFTA_LIST_ELEM);
  put_value(r, NFTA_SET_ELEM_KEY, key, key_size);
  if (data_size > 0) put_value(r, NFTA_SET_ELEM_DATA, data, data_size);
  close_nest(r, one);
  close_nest(r, elements);
}

static void commit(int fd, struct request* r, const char* what) {
  r->message->nlmsg_flags |= NLM_F_ACK;
  uint32_t last = r->message->nlmsg_seq;
  batch(r, NFNL_MSG_BATCH_END);
  int error = talk(fd, r, last);
  if (error != 0) die(what, error);
}

// The masquerading of the pod's addresses; returns the socket, still open: the
// kernel's clean-up after a deletion, for which close() waits, goes on while
// the link is being removed.
static int change_masquerade(const struct options* o, int type) {
  uint8_t bytes[16];
  struct request r = {0};
  int fd = open_netlink(NETLINK_NETFILTER);
  batch(&r, NFNL_MSG_BATCH_BEGIN);
  if (*o->ip6) element(&r, type, "masq6", bytes, parse_ip(o->ip6, bytes), 0, 0);
  element(&r, type, "masq", bytes, parse_ip(o->ip, bytes), 0, 0);
  commit(fd, &r, "masquerade element");
  return fd;
}

// Node port to pod port 80, and the pod's own address for the way back of a
// connection to itself. Parts of a concatenated key fill four bytes each.
static void change_port_map(const struct options* o, int type) {
  uint8_t key[8] = {IPPROTO_TCP}, data[8] = {0}, ip[4];
  const uint16_t from = htons((uint16_t)o->port), to = htons(80);
  memcpy(key + 4, &from, sizeof(from));
  parse_ip(o->ip, ip);
  memcpy(data, ip, sizeof(ip));
  memcpy(data + 4, &to, sizeof(to));
  struct request r = {0};
  int fd = open_netlink(NETLINK_NETFILTER);
  batch(&r, NFNL_MSG_BATCH_BEGIN);
  element(&r, type, "hairpin", ip, sizeof(ip), NULL, 0);
  element(&r, type, "ports", key, sizeof(key), data,
          type == NFT_MSG_NEWSETELEM ? sizeof(data) : 0);
  commit(fd, &r, "port map element");
}

// ---- the plugins ----

// Enters the pod's namespace for good; sockets opened before stay the node's.
static int enter(int netns_fd) {
  if (setns(netns_fd, CLONE_NEWNET) < 0) die("setns", errno);
  return open_netlink(NETLINK_ROUTE);
}

static void enable_ipv6(const char* ifname) {
  write_sysctl("ipv6/conf", "lo", "disable_ipv6", "0");
  write_sysctl("ipv6/conf", ifname, "disable_ipv6", "0");
  write_sysctl("ipv6/conf", ifname, "keep_addr_on_down", "1");
  write_sysctl("ipv6/conf", ifname, "accept_dad", "0");
}

static void ptp_node(int fd, int host, const char* ip, int full,
                     const char* gw) {
  add_address(fd, host, gw, full, /*prefix_route=*/0);
  add_route(fd, host, ip, full, "", "", RT_SCOPE_HOST);
}

static void ptp_pod(int fd, int pod, const char* ip, int bits, int full,
                    const char* gw) {
  add_route(fd, pod, gw, full, "", ip, RT_SCOPE_LINK);
  add_route(fd, pod, ip, bits, gw, ip, RT_SCOPE_UNIVERSE);
  add_route(fd, pod, "", 0, gw, "", RT_SCOPE_UNIVERSE);
}

static void add_ptp(const struct options* o, int node, int netns_fd) {
  int host = index_of(node, o->host);
  set_up(node, host, 0);
  ptp_node(node, host, o->ip, 32, o->gw);
  if (*o->ip6) ptp_node(node, host, o->ip6, 128, o->gw6);
  int pod_fd = enter(netns_fd);
  int pod = index_of(pod_fd, o->ifname);
  if (*o->ip6) enable_ipv6(o->ifname);
  add_address(pod_fd, pod, o->ip, o->bits, /*prefix_route=*/0);
  if (*o->ip6) add_address(pod_fd, pod, o->ip6, o->bits6, 0);
  set_up(pod_fd, pod, 0);
  ptp_pod(pod_fd, pod, o->ip, o->bits, 32, o->gw);
  if (*o->ip6) ptp_pod(pod_fd, pod, o->ip6, o->bits6, 128, o->gw6);
}

static void add_bridge(const struct options* o, int node, int netns_fd) {
  int bridge = index_of(node, o->bridge);
  set_up(node, index_of(node, o->host), bridge);
  int pod_fd = enter(netns_fd);
  int pod = index_of(pod_fd, o->ifname);
  write_sysctl("ipv4/conf", o->ifname, "arp_notify", "1");
  add_address(pod_fd, pod, o->ip, o->bits, /*prefix_route=*/1);
  set_up(pod_fd, pod, 0);
  add_route(pod_fd, pod, "", 0, o->gw, "", RT_SCOPE_UNIVERSE);
}

static void add(const struct options* o) {
  int netns_fd = open(o->netns, O_RDONLY | O_CLOEXEC);
  if (netns_fd < 0) die(o->netns, errno);
  int node = open_netlink(NETLINK_ROUTE);
  lock(o->dir);
  reserve(o, o->ip, 0);
  if (*o->ip6) reserve(o, o->ip6, 1);
  write_sysctl("ipv4", ".", "ip_forward", "1");
  if (*o->ip6) write_sysctl("ipv6/conf", "all", "forwarding", "1");
  add_pair(node, o, netns_fd);
  write_sysctl("ipv6/conf", o->host, "accept_ra", "0");
  if (*o->ip6) {
    write_sysctl("ipv6/conf", o->host, "accept_dad", "0");
  } else {
    write_sysctl("ipv6/conf", o->host, "addr_gen_mode", "1");
  }
  if (o->masq) change_masquerade(o, NFT_MSG_NEWSETELEM);
  if (strcmp(o->kind, "bridge") == 0) {
    add_bridge(o, node, netns_fd);
  } else {
    add_ptp(o, node, netns_fd);
  }
}

static void del(const struct options* o) {
  if (o->masq) change_masquerade(o, NFT_MSG_DELSETELEM);
  delete_link(open_netlink(NETLINK_ROUTE), o->host);
  lock(o->dir);
  release(o, o->ip);
  if (*o->ip6) release(o, o->ip6);
}

int main(int argc, char** argv) {
  if (argc < 3) die("usage", EINVAL);
  const struct options o = parse(argv);
  const int adding = strcmp(argv[1], "ADD") == 0;
  if (strcmp(o.kind, "portmap") == 0) {
    if (adding) write_sysctl("ipv4/conf", o.host, "route_localnet", "1");
    change_port_map(&o, adding ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
  } else if (adding) {
    add(&o);
  } else {
    del(&o);
  }
  printf("{\"ips\": [{\"address\": \"%s/%d\"}]}\n", o.ip, o.bits);
  return 0;
}
