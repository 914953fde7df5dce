// davitctl get pods|images|networks
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pod_view.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

struct GetFlags {
  std::vector<std::string> what;
  std::string output, selector;
  bool watch = false, no_headers = false, all_namespaces = false;
};

absl::Status CheckOutput(const GetFlags& flags) {
  for (const char* known : {"", "wide", "json", "yaml", "name"}) {
    if (flags.output == known) return absl::OkStatus();
  }
  return LocalError(
      absl::StrCat("unable to match a printer suitable for the "
                   "output format \"",
                   flags.output,
                   "\", allowed formats are: json,name,wide,"
                   "yaml"));
}

absl::StatusOr<std::map<std::string, std::string>> ParseSelector(
    const std::string& selector) {
  std::map<std::string, std::string> labels;
  for (absl::string_view part :
       absl::StrSplit(selector, ',', absl::SkipEmpty())) {
    std::vector<std::string> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (pair.size() != 2) {
      return LocalError(absl::StrCat("--selector \"", part,
                                     "\": only KEY=VALUE is supported"));
    }
    labels[pair[0]] = std::string(absl::StripPrefix(pair[1], "="));
  }
  return labels;
}

template <typename Message>
absl::Status PrintObjects(Context& context, const std::string& format,
                          const std::vector<Message>& objects, bool single) {
  Json items = Json::array();
  for (const Message& object : objects) {
    ASSIGN_OR_RETURN(Json item, ToJson(object));
    items.push_back(std::move(item));
  }
  Json whole = {{"apiVersion", "v1"}, {"items", items}, {"kind", "List"}};
  const Json& shown = single ? items[0] : whole;
  context.out << (format == "yaml" ? ToYaml(shown) : shown.dump(4) + "\n");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Pod>> ListPods(Context& context,
                                              const GetFlags& flags,
                                              std::string* cursor) {
  ASSIGN_OR_RETURN(auto labels, ParseSelector(flags.selector));
  std::vector<v1::Pod> pods;
  v1::ListPodsRequest request;
  request.mutable_label_selector()->insert(labels.begin(), labels.end());
  do {
    grpc::ClientContext rpc;
    v1::ListPodsResponse page;
    RETURN_IF_ERROR(context.client().ToStatus(
        context.client().pods().ListPods(&rpc, request, &page)));
    // Changes after the first page must be watched, not missed.
    if (cursor->empty()) *cursor = page.cursor();
    pods.insert(pods.end(), page.pods().begin(), page.pods().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return pods;
}

absl::StatusOr<std::vector<v1::Pod>> GetPods(
    Context& context, const std::vector<std::string>& names) {
  std::vector<v1::Pod> pods;
  for (const std::string& name : names) {
    v1::GetPodRequest request;
    request.set_pod(name);
    v1::GetPodResponse response;
    grpc::ClientContext rpc;
    RETURN_IF_ERROR(context.client().ToStatus(
        context.client().pods().GetPod(&rpc, request, &response)));
    pods.push_back(response.pod());
  }
  return pods;
}

absl::Status PrintPods(Context& context, const GetFlags& flags,
                       const std::vector<v1::Pod>& pods, bool single,
                       bool with_header) {
  if (flags.output == "json" || flags.output == "yaml") {
    return PrintObjects(context, flags.output, pods, single);
  }
  if (flags.output == "name") {
    for (const v1::Pod& pod : pods) {
      context.out << "pod/" << pod.metadata().name() << "\n";
    }
    return absl::OkStatus();
  }
  bool wide = flags.output == "wide";
  Table table(PodHeader(wide));
  for (const v1::Pod& pod : pods) {
    table.AddRow(PodRow(pod, wide, absl::Now()));
  }
  table.Print(context.out, with_header);
  return absl::OkStatus();
}

absl::Status WatchPods(Context& context, const GetFlags& flags,
                       const std::vector<std::string>& names,
                       const std::string& cursor) {
  ASSIGN_OR_RETURN(auto labels, ParseSelector(flags.selector));
  v1::WatchPodsRequest request;
  request.set_cursor(cursor);
  request.mutable_label_selector()->insert(labels.begin(), labels.end());
  grpc::ClientContext rpc;
  auto stream = context.client().pods().WatchPods(&rpc, request);
  v1::WatchPodsResponse event;
  while (stream->Read(&event)) {
    if (!event.has_pod()) continue;
    const std::string& name = event.pod().metadata().name();
    bool wanted = names.empty() ||
                  std::find(names.begin(), names.end(), name) != names.end();
    if (!wanted) continue;
    RETURN_IF_ERROR(PrintPods(context, flags, {event.pod()}, true, false));
    context.out.flush();
  }
  return context.client().ToStatus(stream->Finish());
}

absl::StatusOr<int> GetPodsCommand(Context& context, const GetFlags& flags,
                                   const std::vector<std::string>& names) {
  std::string cursor;
  absl::StatusOr<std::vector<v1::Pod>> pods =
      names.empty() || flags.watch ? ListPods(context, flags, &cursor)
                                   : GetPods(context, names);
  if (!pods.ok()) return pods.status();
  if (!names.empty() && flags.watch) {
    pods = GetPods(context, names);
    if (!pods.ok()) return pods.status();
  }
  bool structured = flags.output == "json" || flags.output == "yaml";
  if (pods->empty() && !structured) {
    context.err << "No resources found.\n";
  } else {
    RETURN_IF_ERROR(
        PrintPods(context, flags, *pods, names.size() == 1, !flags.no_headers));
  }
  if (flags.watch) RETURN_IF_ERROR(WatchPods(context, flags, names, cursor));
  return 0;
}

absl::StatusOr<std::vector<v1::Image>> FetchImages(
    Context& context, const std::vector<std::string>& names) {
  std::vector<v1::Image> images;
  for (const std::string& name : names) {
    v1::GetImageRequest request;
    request.set_image(name);
    v1::GetImageResponse response;
    grpc::ClientContext rpc;
    RETURN_IF_ERROR(context.client().ToStatus(
        context.client().images().Get(&rpc, request, &response)));
    images.push_back(response.image());
  }
  if (!names.empty()) return images;
  v1::ListImagesRequest request;
  do {
    grpc::ClientContext rpc;
    v1::ListImagesResponse page;
    RETURN_IF_ERROR(context.client().ToStatus(
        context.client().images().List(&rpc, request, &page)));
    images.insert(images.end(), page.images().begin(), page.images().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return images;
}

void PrintImageTable(Context& context, const GetFlags& flags,
                     const std::vector<v1::Image>& images) {
  bool wide = flags.output == "wide";
  std::vector<std::string> header = {"NAME", "IMAGE ID", "SIZE", "AGE"};
  if (wide) header.insert(header.end(), {"LAYERS", "BOOTABLE"});
  Table table(header);
  for (const v1::Image& image : images) {
    std::string id(absl::StripPrefix(image.id(), "sha256:"));
    std::vector<std::string> names(image.names().begin(), image.names().end());
    if (names.empty()) names.push_back("<none>");
    for (const std::string& name : names) {
      std::vector<std::string> row = {name, wide ? id : id.substr(0, 12),
                                      HumanBytes(image.size_bytes()),
                                      Age(image.import_time(), absl::Now())};
      if (wide) {
        row.push_back(absl::StrCat(image.layers_size()));
        row.push_back(image.bootable() ? "yes" : "no");
      }
      table.AddRow(row);
    }
  }
  table.Print(context.out, !flags.no_headers);
}

absl::StatusOr<int> GetImagesCommand(Context& context, const GetFlags& flags,
                                     const std::vector<std::string>& names) {
  if (flags.watch) return LocalError("images cannot be watched");
  ASSIGN_OR_RETURN(std::vector<v1::Image> images, FetchImages(context, names));
  if (flags.output == "json" || flags.output == "yaml") {
    RETURN_IF_ERROR(
        PrintObjects(context, flags.output, images, names.size() == 1));
  } else if (flags.output == "name") {
    for (const v1::Image& image : images) {
      context.out << "image/" << image.id() << "\n";
    }
  } else if (images.empty()) {
    context.err << "No resources found.\n";
  } else {
    PrintImageTable(context, flags, images);
  }
  return 0;
}

absl::StatusOr<std::vector<v1::Network>> FetchNetworks(
    Context& context, const std::vector<std::string>& names) {
  v1::ListNetworksResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().networks().ListNetworks(&rpc, {}, &response)));
  if (names.empty()) {
    return std::vector<v1::Network>(response.networks().begin(),
                                    response.networks().end());
  }
  std::vector<v1::Network> networks;
  for (const std::string& name : names) {
    auto it = std::find_if(
        response.networks().begin(), response.networks().end(),
        [&](const v1::Network& network) { return network.name() == name; });
    if (it == response.networks().end()) {
      return context.client().ToStatus(
          grpc::Status(grpc::StatusCode::NOT_FOUND,
                       absl::StrCat("networks \"", name, "\" not found")));
    }
    networks.push_back(*it);
  }
  return networks;
}

void PrintNetworkTable(Context& context, const GetFlags& flags,
                       const std::vector<v1::Network>& networks) {
  bool wide = flags.output == "wide";
  std::vector<std::string> header = {"NAME", "STATUS", "CNI VERSION",
                                     "PLUGINS"};
  if (wide) header.insert(header.end(), {"FILE", "ERROR"});
  Table table(header);
  for (const v1::Network& network : networks) {
    // A file that cannot be read may have no name but its own.
    std::vector<std::string> row = {
        network.name().empty() ? "<none>" : network.name(),
        network.error().empty() ? "OK" : "Broken", network.cni_version(),
        absl::StrJoin(network.plugins(), ",")};
    if (wide) {
      row.push_back(network.file());
      row.push_back(network.error().empty() ? "<none>" : network.error());
    }
    table.AddRow(row);
  }
  table.Print(context.out, !flags.no_headers);
}

absl::StatusOr<int> GetNetworksCommand(Context& context, const GetFlags& flags,
                                       const std::vector<std::string>& names) {
  if (flags.watch) return LocalError("networks cannot be watched");
  ASSIGN_OR_RETURN(std::vector<v1::Network> networks,
                   FetchNetworks(context, names));
  if (flags.output == "json" || flags.output == "yaml") {
    RETURN_IF_ERROR(
        PrintObjects(context, flags.output, networks, names.size() == 1));
  } else if (flags.output == "name") {
    for (const v1::Network& network : networks) {
      context.out << "network/" << network.name() << "\n";
    }
  } else if (networks.empty()) {
    context.err << "No resources found.\n";
  } else {
    PrintNetworkTable(context, flags, networks);
  }
  return 0;
}

absl::StatusOr<int> Get(Context& context, const GetFlags& flags) {
  RETURN_IF_ERROR(CheckOutput(flags));
  // "get pods a b", "get pod/a pod/b".
  std::string type = flags.what[0];
  std::vector<std::string> names(flags.what.begin() + 1, flags.what.end());
  if (absl::StrContains(type, '/')) {
    names = flags.what;
    type = type.substr(0, type.find('/'));
    for (std::string& name : names) {
      if (!absl::StartsWith(name, type + "/")) {
        return LocalError(absl::StrCat("\"", name, "\" must be ", type,
                                       "/NAME, as the first is"));
      }
      name = name.substr(type.size() + 1);
    }
  }
  if (type == "pods" || type == "pod" || type == "po") {
    return GetPodsCommand(context, flags, names);
  }
  if (type == "images" || type == "image") {
    return GetImagesCommand(context, flags, names);
  }
  if (type == "networks" || type == "network" || type == "net") {
    return GetNetworksCommand(context, flags, names);
  }
  return LocalError(absl::StrCat("the agent doesn't have a resource type \"",
                                 type, "\": use pods, images or networks"));
}

}  // namespace

void AddGetCommand(CLI::App& app, Context& context) {
  auto flags = std::make_shared<GetFlags>();
  CLI::App* get = app.add_subcommand("get", "List pods, images or networks");
  get->add_option("WHAT", flags->what,
                  "pods, images or networks, each with [NAME...]; or pod/NAME")
      ->required();
  get->add_option("-o,--output", flags->output, "wide, json, yaml or name");
  get->add_option("-l,--selector", flags->selector,
                  "labels: KEY=VALUE[,KEY=VALUE...]");
  get->add_flag("-w,--watch", flags->watch, "then go on with every change");
  get->add_flag("--no-headers", flags->no_headers, "no header line");
  get->add_flag("-A,--all-namespaces", flags->all_namespaces,
                "accepted: a node has one namespace");
  get->callback([&context, flags] {
    context.action = [&context, flags] { return Get(context, *flags); };
  });
}

}  // namespace davit::cli
